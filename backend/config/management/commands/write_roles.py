"""`manage.py write_roles`: writes docs/roles.md from the declarations."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from backend.config import matrix


class Command(BaseCommand):
    """Writes the table of roles."""

    help = "Write docs/roles.md from what the doors declare."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Writes it."""
        (settings.ROOT / "docs" / "roles.md").write_text(matrix.page())
