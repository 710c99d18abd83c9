"""Registers the room with Django."""

from django.apps import AppConfig


class RemindersConfig(AppConfig):
    """The room `reminders`."""

    name = "backend.reminders"
    label = "reminders"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Messages stop when the agreement to them is taken back; the room says what it holds about a person."""
        from backend.accounts import consents
        from backend.reminders import held, planning

        consents.after_change(planning.heed_consent)
        held.declare()
