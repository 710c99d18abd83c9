"""What the tests of backup and restore share: a target with its key, taking and bringing back without a command."""

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connections
from psycopg import conninfo, sql

from backend.config import home
from backend.config.backups import backup, configured, restore, swap, tables
from backend.config.backups.manifest import Manifest
from tests import databases
from tests.live import environment

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 2, 4, 30, tzinfo=UTC)
PURPOSE = "maintenance: test"


@dataclass
class Vault:
    """A folder for backups of this worker's database, its key, and what was said."""

    target: Path
    database: str
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    said: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        """The owner's connection to the database."""
        return configured.owner_address()

    @property
    def admin_address(self) -> str:
        """Who may rename it."""
        return configured.admin_address(self.address, home.local_dir())

    def take(self, *, now: datetime = NOW, purpose: str = backup.PURPOSE) -> Manifest:
        """A backup."""
        return backup.take(
            address=self.address, target=self.target, key=self.key, now=now, say=self.said.append, purpose=purpose
        )

    def bring_back(self, name: str, *, key: bytes | None = None) -> restore.Restored:
        """A restore."""
        return restore.bring_back(
            address=self.address, admin_address=self.admin_address, target=self.target, name=name,
            key=key or self.key, now=NOW, say=self.said.append,
        )  # fmt: skip

    def contents(self) -> dict[str, tuple[int, str]]:
        """Rows and digest of every table, but of those that tell of restores themselves."""
        with tables.connect(self.address, purpose=PURPOSE) as connection:
            found = tables.found(connection)
            return {name: tables.digest(connection, found[name]) for name in found if name != "config_restore"}

    def databases(self) -> set[str]:
        """The names of this database and of those that restores made beside it."""
        with psycopg.connect(conninfo.make_conninfo(self.address, dbname="postgres")) as connection:
            rows = connection.execute("SELECT datname FROM pg_database").fetchall()
        return {name for (name,) in rows if name.startswith(self.database)}

    def files(self, name: str) -> list[Path]:
        """The sealed files of a backup that hold most, largest first."""
        return sorted((self.target / name).glob("*.sealed"), key=lambda path: -path.stat().st_size)

    def command(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """`manage.py` on this database with this target and this key, as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "backend/manage.py", *arguments],
            cwd=ROOT,
            env=environment(
                self.database,
                BACKUP_DIR=str(self.target),
                BACKUP_KEY=self.key.hex(),
                PYTHONUNBUFFERED="1",
                ERASURES_LEDGER=str(settings.ERASURES_FILE),
                **more,
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, **more: str) -> tuple[int, str]:
        """The command to its end: exit code and what it said."""
        with self.command(*arguments, **more) as process:
            said, _ = process.communicate(timeout=120)
        return process.returncode, said

    def tidy(self) -> None:
        """Drop what restores kept or left."""
        with swap.administering(self.admin_address) as admin:
            for name in self.databases() - {self.database}:
                swap.drop(admin, name)


@contextlib.contextmanager
def opened(database: str, folder: Path) -> Iterator[Vault]:
    """A vault for one test, tidied after it. A server takes one restore at a time: tests of other processes wait."""
    with databases.one_at_a_time("restores"):
        vault = Vault(target=folder, database=database)
        yield vault
        for connection in connections.all(initialized_only=True):
            connection.close()
        vault.tidy()


def execute(vault: Vault, *statements: str) -> None:
    """SQL by the owner."""
    with tables.connect(vault.address, purpose=PURPOSE) as connection, connection.transaction():
        for statement in statements:
            connection.execute(sql.SQL(statement))


def open_files(folder: Path) -> Iterator[bytes]:
    """The bytes of every file below a folder."""
    for path in folder.rglob("*"):
        if path.is_file() and os.access(path, os.R_OK):
            yield path.read_bytes()
