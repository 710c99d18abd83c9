"""Brings a backup back."""

from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from psycopg import conninfo

from backend.common import clock
from backend.config.backups import configured, places, restore, swap, verify
from backend.config.backups.configured import Configured
from backend.config.backups.sealing import Refused


class Command(BaseCommand):
    """`restore NAME [--target FOLDER] [--check]`, `restore` (lists), `restore --forget-previous`."""

    help = "Check a backup, bring it back beside the running database, and put it in that one's place."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which, where from, how far."""
        parser.add_argument("name", nargs="?", default="", help="a backup's name, or `latest`; without one: the list")
        parser.add_argument("--target", default="", metavar="FOLDER", help="instead of BACKUP_DIR")
        parser.add_argument("--check", action="store_true", help="read the backup to its last byte and touch nothing")
        parser.add_argument(
            "--forget-previous", action="store_true", help="drop the databases that earlier restores replaced"
        )

    def handle(self, **options: Any) -> None:
        """Restores; what is in the way is one line, and nothing is changed then."""
        try:
            wanted = configured.read(target=options["target"])
            if options["forget_previous"]:
                self._forget(wanted)
                return
            known = places.known(wanted.target)
            name = known[-1] if known and options["name"] == "latest" else options["name"]
            if name not in known:
                listed = "\n  ".join(known) or "none"
                raise CommandError(f"name one of the backups in {wanted.target}, or latest:\n  {listed}")
            if options["check"]:
                held = verify.check(wanted.target / name, key=wanted.key)
                self._say(f"{name} is whole and genuine: {len(held.tables)} tables, {held.rows:,} rows")
                return
            self._restore(wanted, name)
        except Refused as refusal:
            raise CommandError(str(refusal)) from refusal
        except (psycopg.Error, DatabaseError, OSError) as error:
            raise CommandError(f"nothing was changed: {str(error).strip().splitlines()[0]}") from error

    def _restore(self, wanted: Configured, name: str) -> None:
        done = restore.bring_back(
            address=wanted.address,
            admin_address=wanted.admin_address,
            target=wanted.target,
            name=name,
            key=wanted.key,
            now=clock.now(),
            say=self._say,
        )
        self._say(
            f"{name} is in place: {done.held.rows:,} rows compared, {done.erased} erasures replayed, "
            f"everybody signs in anew; {done.seconds:.1f} s"
        )
        self._say(f"what it replaced is kept as {done.kept_as}; `restore --forget-previous` drops it")

    def _forget(self, wanted: Configured) -> None:
        database = str(conninfo.conninfo_to_dict(wanted.address)["dbname"])
        with swap.administering(wanted.admin_address) as admin:
            for name in swap.kept_before(admin, database=database):
                swap.drop(admin, name)
                self._say(f"dropped {name}")

    def _say(self, line: str) -> None:
        self.stdout.write(f"restore: {line}")
        self.stdout.flush()
