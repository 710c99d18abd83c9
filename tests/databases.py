"""Test databases: one template, migrated once for each state of the migrations; a copy of it for each worker."""

import contextlib
import fcntl
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connections

from backend.config import roles

ROOT = Path(__file__).resolve().parents[1]
PREFIX = "test_afterglow"


def make(worker: str) -> str:
    """Makes the worker's database from the template and points all connections at it; returns its name."""
    clone = hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]
    name = f"{PREFIX}_{clone}_{worker}"
    template = f"{PREFIX}_{clone}_template_{_fingerprint()}"
    with _lock(), _maintenance() as execute:
        known = {row[0] for row in execute("SELECT datname FROM pg_database")}
        if template not in known:
            for old in known:
                if old.startswith(f"{PREFIX}_{clone}_template_"):
                    _drop(execute, old)
            _migrate(template, execute)
        _drop(execute, name)
        execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        _open(name, execute)
    _point_at(name)
    return name


def drop(name: str) -> None:
    """Removes the worker's database."""
    for alias in connections:
        connections[alias].close()
    with _lock(), _maintenance() as execute:
        _drop(execute, name)


def _drop(execute: Any, name: str) -> None:
    """With whoever is in it; WITH (FORCE) would fail while an autovacuum is at work there."""
    execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        f"WHERE datname = '{name}' AND usesysid IS NOT NULL AND pid <> pg_backend_pid()"
    )
    execute(f'DROP DATABASE IF EXISTS "{name}"')


def _migrate(template: str, execute: Any) -> None:
    unfinished = f"{template}_new"
    _drop(execute, unfinished)
    execute(f"CREATE DATABASE \"{unfinished}\" ENCODING 'UTF8' TEMPLATE template0")
    _point_at(unfinished)
    call_command("migrate", database="owner", verbosity=0)
    roles.grant(connections["owner"])
    for alias in connections:
        connections[alias].close()
    execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{template}"')


def _open(name: str, execute: Any) -> None:
    execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')
    execute(f'GRANT CONNECT ON DATABASE "{name}" TO {roles.APPLICATION}, {roles.DISPATCH}')
    # A commit in a test need not survive the machine's power cut; everything else stays as in earnest.
    execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')


def _point_at(name: str) -> None:
    for alias in connections:
        connections[alias].close()
        connections[alias].settings_dict["NAME"] = name


def _fingerprint() -> str:
    """Changes with every migration, the roles' rights and the packages that bring migrations of their own."""
    digest = hashlib.sha256()
    files = [*ROOT.glob("backend/*/migrations/*.py"), ROOT / "backend/config/roles.py", ROOT / "requirements.txt"]
    for path in sorted(files):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    with open(Path(tempfile.gettempdir()) / "afterglow-test-databases.lock", "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _maintenance() -> Iterator[Any]:
    connection = connections["owner"].copy()
    connection.settings_dict = {**connection.settings_dict, "NAME": "postgres"}
    connection.set_autocommit(True)

    def execute(sql: str) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    try:
        yield execute
    finally:
        connection.close()
