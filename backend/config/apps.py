"""Registers the room with Django."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The room `config`."""

    name = "backend.config"
    label = "config"
    default_auto_field = "django.db.models.BigAutoField"
