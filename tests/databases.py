"""Test databases: one template, migrated once for each state of the migrations; a copy of it for each worker."""

import contextlib
import fcntl
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from django.core.management import call_command
from django.db import connections
from psycopg import conninfo

from backend.config import roles
from backend.config.backups import configured, swap

ROOT = Path(__file__).resolve().parents[1]
PREFIX = "test_afterglow"


def make(worker: str) -> str:
    """Makes the worker's database from the template and points all connections at it; returns its name."""
    clone = hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]
    name = f"{PREFIX}_{clone}_{worker}"
    template = f"{PREFIX}_{clone}_template_{_fingerprint()}"
    with one_at_a_time("databases"), maintenance() as admin:
        known = {row[0] for row in admin.execute("SELECT datname FROM pg_database")}
        if template not in known:
            for old in known:
                if old.startswith(f"{PREFIX}_{clone}_template_"):
                    swap.drop(admin, old)
            _migrate(template, admin)
        swap.drop(admin, name)
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        _open(name, admin)
    _point_at(name)
    return name


def drop(name: str) -> None:
    """Removes the worker's database."""
    for alias in connections:
        connections[alias].close()
    with one_at_a_time("databases"), maintenance() as admin:
        swap.drop(admin, name)


def _migrate(template: str, admin: swap.Admin) -> None:
    unfinished = f"{template}_new"
    swap.drop(admin, unfinished)
    admin.execute(f"CREATE DATABASE \"{unfinished}\" ENCODING 'UTF8' TEMPLATE template0")
    _point_at(unfinished)
    call_command("migrate", database="owner", verbosity=0)
    roles.grant(connections["owner"])
    for alias in connections:
        connections[alias].close()
    admin.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{template}"')


def _open(name: str, admin: swap.Admin) -> None:
    admin.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')
    admin.execute(f'GRANT CONNECT ON DATABASE "{name}" TO {roles.APPLICATION}, {roles.DISPATCH}')
    # A commit in a test need not survive the machine's power cut; everything else stays as in earnest.
    admin.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')


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
def one_at_a_time(what: str) -> Iterator[None]:
    """Tests of other processes wait for their turn; not to be nested."""
    with open(Path(tempfile.gettempdir()) / f"afterglow-test-{what}.lock", "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def maintenance(database: str = "postgres") -> Iterator[swap.Admin]:
    """The owner's connection to a database, by default one that is no test's."""
    address = conninfo.make_conninfo(configured.owner_address(), dbname=database)
    with psycopg.connect(address, autocommit=True) as admin:
        yield admin
