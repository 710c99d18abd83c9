"""Takes a backup."""

from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.common import clock
from backend.config.backups import backup, configured, places
from backend.config.backups.sealing import Refused


class Command(BaseCommand):
    """`backup [--target FOLDER]`."""

    help = "Take a sealed backup of the whole database into BACKUP_DIR, and remove the oldest above BACKUP_KEEP."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to."""
        parser.add_argument("--target", default="", metavar="FOLDER", help="instead of BACKUP_DIR")

    def handle(self, **options: Any) -> None:
        """Takes, notes, prunes; what is in the way is one line."""
        try:
            wanted = configured.read(target=options["target"])
            now = clock.now()
            taken = backup.take(address=wanted.address, target=wanted.target, key=wanted.key, now=now, say=self._say)
            gone = places.keep_only(wanted.target, count=wanted.keep)
            self._say(
                f"{taken.name} is complete in {wanted.target}: {len(taken.tables)} tables, {taken.rows:,} rows, "
                f"{taken.size / 1e6:,.1f} MB, {(clock.now() - now).total_seconds():.1f} s"
            )
            for name in gone:
                self._say(f"removed {name}: more than {wanted.keep} (BACKUP_KEEP)")
            backup.remember(address=wanted.address, taken=taken)
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
        except psycopg.Error as error:
            raise CommandError(f"the backup stands, but could not be noted: {str(error).splitlines()[0]}") from error

    def _say(self, line: str) -> None:
        self.stdout.write(f"backup: {line}")
        self.stdout.flush()
