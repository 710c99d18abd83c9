"""Addresses of the room."""

from django.urls import path

from backend.insights import api, api_timeline

urlpatterns = [
    path("me/trend", api.OwnTrend.as_view(), name="own-trend"),
    path("patients/<uuid:id>/trend", api.PatientTrend.as_view(), name="patient-trend"),
    path("patients/<uuid:id>/trend.svg", api.PatientTrendPicture.as_view(), name="patient-trend-picture"),
    path("patients/<uuid:id>/timeline", api_timeline.Timeline.as_view(), name="timeline"),
]
