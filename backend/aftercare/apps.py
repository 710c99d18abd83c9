"""What the patient lives and answers; what must be watched."""

from django.apps import AppConfig


class AftercareConfig(AppConfig):
    """The room of logs, appointments, plans and alerts."""

    name = "backend.aftercare"
    label = "aftercare"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """The room's own logs join the registry; the room says what it holds about a person."""
        from backend.aftercare import checkins, held, kinds

        kinds.register_own(after_check_in=checkins.settle)
        held.declare()
