"""Who is who, who may see whom, zones, devices."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """The room at the bottom of all that knows persons."""

    name = "backend.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """The room says what it holds about a person."""
        from backend.accounts import held

        held.declare()
