"""`manage.py retain [--dry-run]`: what the clinics' retention rules no longer keep, removed or only counted."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from backend.common import clock
from backend.interop import retention


class Command(BaseCommand):
    """Applies the retention rules now; with --dry-run it prints what it would remove and removes nothing."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """One switch."""
        parser.add_argument("--dry-run", action="store_true", help="count, and remove nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """A line for each rule and table, then the sum."""
        verb = "would remove" if options["dry_run"] else "removed"
        found = retention.run(
            now=clock.now(),
            dry_run=options["dry_run"],
            tell=lambda r: self.stdout.write(
                f"clinic {r.clinic} {r.kind}, kept {r.keep_days} days: {verb} {r.rows} rows of {r.table}"
            ),
        )
        self.stdout.write(
            f"{verb} {sum(each.rows for each in found)} rows by {len({(r.clinic, r.kind) for r in found})} rules"
        )
