"""Wraps all data keys by the current master key, while everything runs."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.accounts import masters, resealing


class Command(BaseCommand):
    """`rotate_keys [--draw ID]`; exits 1 when a data key could not be wrapped anew."""

    help = "Wrap every patient's data key by the current master key; may be broken off and run again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whether a new master key is wanted first."""
        parser.add_argument("--draw", metavar="ID", help="first add a fresh master key to NOTE_KEYS_FILE, as current")

    def handle(self, **options: Any) -> None:
        """Rotates and tells how far it is."""
        try:
            if options["draw"]:
                _draw(Path(settings.NOTE_KEYS_FILE), options["draw"])
            tally = resealing.rotate(progress=lambda done, total: self.stdout.write(f"{done:,} of {total:,} data keys"))
        except (masters.MasterKeyUnavailable, OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        if tally.failed:
            raise CommandError(f"{tally.done:,} wrapped anew, {len(tally.failed):,} not: the log names them.")
        self.stdout.write(f"{tally.done:,} wrapped anew; no data key needs an earlier master key, old backups still do")


def _draw(path: Path, id: str) -> None:
    text = masters.with_one_more(path.read_text(), id=id)
    fresh = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    os.replace(fresh, path)
