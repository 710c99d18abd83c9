"""Registers the room with Django."""

from django.apps import AppConfig


class RemindersConfig(AppConfig):
    """The room `reminders`."""

    name = "backend.reminders"
    label = "reminders"
    default_auto_field = "django.db.models.BigAutoField"
