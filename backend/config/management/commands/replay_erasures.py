"""Erases again whom the ledger names, in a database that came back by other means than `restore`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from backend.common import clock
from backend.config import opening
from backend.config.backups import configured
from backend.config.backups.sealing import Refused


class Command(BaseCommand):
    """`replay_erasures`: the database is closed, the ledger replayed, the database opened."""

    help = "After a restore by a server's own means (a snapshot, point in time): erase again, then open the database."

    def handle(self, **options: Any) -> None:
        """Closes, replays, opens; after a failure the database stays closed."""
        now = clock.now()
        address = configured.owner_address()
        try:
            opening.check_ledger(address=address, at_least=0)
            opening.close(address=address, backup="by other means", now=now)
            erased = opening.replay(now=now)
            opening.open_again(address=address, now=clock.now())
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"erasures replayed: {erased}; the database is open")
