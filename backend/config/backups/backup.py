"""Taking a backup: every table in one snapshot, proven complete, sealed, and visible only when it is whole."""

import secrets
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import sql

import backend
from backend.common import clock
from backend.config import opening
from backend.config.backups import manifest, places, sealing, tables
from backend.config.backups.manifest import Manifest, TableFile
from backend.config.backups.sealing import Refused, Sealer
from backend.config.backups.tables import Connection, Table

PURPOSE = "maintenance: backup"
SAYS_EVERY = 5.0  # seconds between two lines about one large table

Say = Callable[[str], None]


def take(*, address: str, target: Path, key: bytes, now: datetime, say: Say, purpose: str = PURPOSE) -> Manifest:
    """Back up the database at `address` (its owner's) into a new folder of `target`; returns what the backup holds.

    Raises Refused; nothing that looks like a backup is left then. Readers and writers of the database go on meanwhile.
    """
    number = secrets.token_bytes(16)
    name = f"afterglow-{now:%Y%m%dT%H%M%SZ}-{number.hex()[:8]}"
    with places.alone(target), places.fresh(target, name) as folder:
        try:
            with tables.connect(address, purpose=purpose) as connection, connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                taken = _take(connection, folder, key=key, number=number, name=name, now=now, say=say)
        except psycopg.Error as error:
            raise Refused(f"the database did not give all of it: {_first_line(error)}; nothing was kept") from error
        manifest.write(folder, taken, key=key)
    return taken


def _take(
    connection: Connection, folder: Path, *, key: bytes, number: bytes, name: str, now: datetime, say: Say
) -> Manifest:
    found = tables.found(connection)
    tables.check_all_rows_show(connection)
    files = {table.name: _table(connection, table, folder, key=key, number=number, say=say) for table in found.values()}
    if not files or "django_migrations" not in files:
        raise Refused("the database holds no tables of Afterglow: nothing was kept")
    return Manifest(
        format=sealing.FORMAT,
        name=name,
        id=number.hex(),
        created_at=now,
        product_version=backend.VERSION,
        postgresql=str(_one(connection, "SHOW server_version")),
        tzdata=clock.ZONE_DATA_VERSION,
        migrations=applied(connection),
        tables=files,
        sequences=tables.sequences(connection),
        chains=heads(connection) if "accounts_auditlink" in found else {},
        erasures=len(opening.ledger()),
    )


def _table(connection: Connection, table: Table, folder: Path, *, key: bytes, number: bytes, say: Say) -> TableFile:
    expected = tables.count(connection, table)
    name = manifest.file_of(table.name)
    seen, said = 0, time.monotonic()
    with (folder / name).open("xb") as file:
        sealer = Sealer(file, key=key, backup=number, name=name)

        def take_in(block: bytes | bytearray | memoryview) -> None:
            nonlocal seen, said
            sealer.write(block)
            seen += 1  # COPY's text arrives row by row
            if time.monotonic() - said > SAYS_EVERY:
                said = time.monotonic()
                say(f"{table.name}: {seen:,} of {expected:,} rows, {sealer.size / 1e6:,.1f} MB sealed")

        sent = tables.pour(connection, table, take_in)
        content, sealed = sealer.close()
    if not sent == seen == expected:
        raise Refused(f"{table.name} has {expected:,} rows, {sent:,} were sent, {seen:,} arrived: nothing was kept")
    if expected:
        say(f"{table.name}: {expected:,} rows, {sealer.size / 1e6:,.1f} MB")
    return TableFile(columns=table.columns, rows=expected, size=sealer.size, sha256=sealed, content_sha256=content)


def applied(connection: Connection) -> dict[str, list[str]]:
    """The migrations that the database has, by app."""
    state: dict[str, list[str]] = {}
    for app, name in connection.execute("SELECT app, name FROM django_migrations ORDER BY app, name").fetchall():
        state.setdefault(app, []).append(name)
    return state


def heads(connection: Connection) -> dict[str, str]:
    """The last link of each clinic's audit chain, `number:hash`; the chain without a clinic is called `none`."""
    rows = connection.execute(
        "SELECT DISTINCT ON (clinic_id) coalesce(clinic_id::text, 'none'), number || ':' || encode(hash, 'hex') "
        "FROM accounts_auditlink ORDER BY clinic_id, number DESC"
    ).fetchall()
    return {str(clinic): str(head) for clinic, head in rows}


def remember(*, address: str, taken: Manifest) -> None:
    """Note in the database that the backup was made, for readiness and metrics; twice is the same as once."""
    with tables.connect(address, purpose=PURPOSE) as connection:
        connection.execute(
            "INSERT INTO config_backup (name, made_at, row_count, byte_count) VALUES (%s, %s, %s, %s) "
            "ON CONFLICT DO NOTHING",
            [taken.name, taken.created_at, taken.rows, taken.size],
        )


def _one(connection: Connection, query: str) -> object:
    row = connection.execute(sql.SQL(query)).fetchone()
    if row is None:
        raise AssertionError
    return row[0]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
