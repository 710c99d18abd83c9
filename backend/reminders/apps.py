"""Registers the room with Django."""

from django.apps import AppConfig


class RemindersConfig(AppConfig):
    """The room `reminders`."""

    name = "backend.reminders"
    label = "reminders"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """What the room does when someone withdraws an agreement or leaves a clinic, and what it holds."""
        from backend.accounts import consents, people
        from backend.reminders import escalation, held, planning

        consents.after_change(planning.heed_consent)
        people.after_leaving(escalation.leave)
        held.declare()
