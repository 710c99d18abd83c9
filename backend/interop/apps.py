"""Registers the room with Django."""

from django.apps import AppConfig


class InteropConfig(AppConfig):
    """The room of exports and imports, erasure and retention; it owns its jobs and nothing clinical."""

    name = "backend.interop"
    label = "interop"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """The room says what it holds about a person."""
        from backend.interop import held

        held.declare()
