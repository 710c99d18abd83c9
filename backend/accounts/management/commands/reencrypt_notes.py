"""Seals all notes under new data keys, while everything runs."""

import uuid
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.accounts import keys, resealing
from backend.common import clock


class Command(BaseCommand):
    """`reencrypt_notes [--patient ID] [--made-before INSTANT]`; exits 1 when a note or a key had to stay as it was."""

    help = "Give patients new data keys and seal their notes under them; may be broken off and taken up again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose, and which."""
        parser.add_argument("--patient", type=uuid.UUID, help="only this patient")
        parser.add_argument(
            "--made-before", type=datetime.fromisoformat, metavar="INSTANT",
            help="only data keys made before then (with offset); to take up a run that was broken off, its instant",
        )  # fmt: skip
        parser.add_argument("--patience", type=float, default=60.0, metavar="SECONDS", help="for open transactions")

    def handle(self, **options: Any) -> None:
        """Re-encrypts and tells how far it is."""
        now = clock.now()
        made_before = options["made_before"] or now
        if made_before.tzinfo is None:
            raise CommandError("--made-before needs an offset: 2026-11-28T20:00:00+00:00")
        self.stdout.write(f"data keys made before {made_before.isoformat()}; to take this run up: --made-before")
        try:
            tally = resealing.reencrypt(
                made_before=made_before,
                now=now,
                patient=options["patient"],
                progress=lambda done, total: self.stdout.write(f"{done:,} of {total:,} patients"),
            )
        except keys.Unavailable as error:
            raise CommandError(f"{error.__cause__}") from error
        gone, left = resealing.drop_retired(patience_s=options["patience"])
        self.stdout.write(f"{tally.notes:,} notes of {tally.done:,} patients sealed anew, {gone:,} old keys deleted")
        if tally.failed:
            raise CommandError(f"{len(tally.failed):,} notes could not be opened and stay; the log names them.")
        if left:
            raise CommandError(f"Old keys of {left:,} patients stay: transactions were under way; run it again.")
