"""Addresses of the room."""

from django.urls import path

from backend.treatment import api

urlpatterns = [
    path("patients/<uuid:id>/annotations", api.Annotations.as_view(), name="annotations"),
    path(
        "patients/<uuid:id>/annotations/<uuid:annotation>", api.AnnotationDetail.as_view(), name="annotation"
    ),
]  # fmt: skip
