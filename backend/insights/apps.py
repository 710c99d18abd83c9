"""Registers the room with Django."""

from django.apps import AppConfig


class InsightsConfig(AppConfig):
    """The room `insights`."""

    name = "backend.insights"
    label = "insights"
    default_auto_field = "django.db.models.BigAutoField"
