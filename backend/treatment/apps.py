"""What happens in the clinic: courses and sessions."""

from django.apps import AppConfig


class TreatmentConfig(AppConfig):
    """The room of courses, sessions, vitals and the side effects that follow them."""

    name = "backend.treatment"
    label = "treatment"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Side effects join the logs of aftercare; they live here since they point at a session."""
        from backend.treatment import held, side_effects

        side_effects.register()
        held.declare()
