"""What must be true of the database before the program serves: migrated, rights given, a demo clinic in the demo."""

import io
import json
import os
import socket
import sys
from typing import Any

import psycopg
from django.core.management import call_command, get_commands
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import OperationalError

from backend.config import roles

DISK_FULL = 28


def prepare(*, demo: bool) -> None:
    """Migrate if anything is pending, give the roles their rights, and load the demo clinic into an empty database."""
    try:
        migrate()
        if demo:
            forget_heartbeats()
        if demo and "demo_load" in get_commands() and not has_people():
            call_command("demo_load")
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.DiskFull):
            print(f"the database's disk is full: {error}")
            sys.exit(DISK_FULL)
        raise
    finally:
        connections.close_all()


def migrate() -> None:
    """Apply what is pending through the owner's connection; the rights are given anew in any case."""
    owner = connections["owner"]
    executor = MigrationExecutor(owner)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", database="owner", interactive=False, verbosity=1)
    roles.grant(owner)


def forget_heartbeats() -> None:
    """Drop what this machine's parts said in an earlier run, so that readiness means this run's parts."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("DELETE FROM reminders_heartbeat WHERE name LIKE %s", [f"%@{socket.gethostname()}"])


def has_people() -> bool:
    """Whether anybody is in the database, asked as its owner, in the one way in which the owner sees any row."""
    from backend.accounts import access
    from backend.accounts.models import Person

    with access.maintaining("set up"):
        return Person.objects.exists()


def write_people(pipe: int) -> None:
    """Write the demo's people with fresh tokens as one JSON object to the pipe, `{}` where there is no demo room."""
    out = io.StringIO()
    if "demo_people" in get_commands():
        call_command("demo_people", "--json", stdout=out)
    connections.close_all()
    answer: dict[str, Any] = json.loads(out.getvalue() or "{}")
    os.write(pipe, json.dumps(answer.get("people", answer)).encode())
