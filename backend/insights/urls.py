"""Addresses of the room."""

from django.urls import path

from backend.insights import api

urlpatterns = [
    path("me/trend", api.OwnTrend.as_view(), name="own-trend"),
    path("patients/<uuid:id>/trend", api.PatientTrend.as_view(), name="patient-trend"),
    path("patients/<uuid:id>/trend.svg", api.PatientTrendPicture.as_view(), name="patient-trend-picture"),
]
