"""Filling the database beside: the schema by our own migrations, rows by COPY, then every table compared."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
from django.db import connections
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from backend.config import roles
from backend.config.backups import tables, verify
from backend.config.backups.manifest import Manifest
from backend.config.backups.sealing import Refused
from backend.config.backups.tables import Connection, Table

PURPOSE = "maintenance: restore"
MANY = 100_000  # rows of a table above which its load is worth a line

Say = Callable[[str], None]


@contextlib.contextmanager
def pointed_at(database: str) -> Iterator[None]:
    """All of Django's connections work on another database of the same server while this lasts."""
    before = {alias: connections[alias].settings_dict["NAME"] for alias in connections}
    try:
        for alias in connections:
            connections[alias].close()
            connections[alias].settings_dict["NAME"] = database
        yield
    finally:
        for alias, name in before.items():
            connections[alias].close()
            connections[alias].settings_dict["NAME"] = name


def check_migrations(held: Manifest) -> None:
    """Raise Refused where this version does not know the backup's state of the schema. Asks no database."""
    graph = MigrationLoader(None).graph
    recorded = {(app, name) for app, names in held.migrations.items() for name in names}
    if unknown := sorted(recorded - set(graph.nodes)):
        raise Refused(
            f"{held.name} has the migration {'.'.join(unknown[0])}, which this version does not know: it was made by "
            f"Afterglow {held.product_version}; restore with that version or a later one"
        )
    for node in recorded:
        if missing := sorted({parent.key for parent in graph.node_map[node].parents} - recorded):
            raise Refused(f"{held.name} has the migration {'.'.join(node)} without {'.'.join(missing[0])}")


def migrate_to(held: Manifest) -> None:
    """Bring the empty database, to which Django points, to exactly the backup's state of the schema."""
    recorded = {(app, name) for app, names in held.migrations.items() for name in names}
    owner = connections["owner"]
    set_purpose(PURPOSE)
    executor = MigrationExecutor(owner)
    plan = [
        (migration, False)
        for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes())
        if (migration.app_label, migration.name) in recorded
    ]
    try:
        executor.migrate(None, plan=plan)
    except InconsistentMigrationHistory as error:
        raise Refused(f"{held.name}: {error}") from error
    roles.grant(owner)
    owner.close()


def set_purpose(purpose: str) -> None:
    """Under this purpose row-level security shows the owner's connection of Django all rows."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT set_config('afterglow.purpose', %s, false)", [purpose])


def load(*, address: str, folder: Path, held: Manifest, key: bytes, say: Say) -> None:
    """Put the backup's rows into the migrated database, in one transaction. Raises Refused.

    Triggers of ours rest meanwhile, so that history and audit hold what they held; foreign keys and checks do not rest.
    """
    try:
        with tables.connect(address, purpose=PURPOSE) as connection, connection.transaction():
            found = tables.found(connection)
            _check_schema(found, held)
            order, no_circle = tables.in_order_of_references(connection, set(found))
            with _bare(connection, found):
                if no_circle:
                    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")  # else millions of checks wait for the end
                everything = sql.SQL(", ").join(found[name].named for name in order)
                connection.execute(sql.SQL("TRUNCATE {}").format(everything))
                for name in order:
                    _load(connection, found[name], folder, held, key=key, say=say)
                connection.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no check may wait while tables are altered
            _set_sequences(connection, held)
    except psycopg.Error as error:
        raise Refused(f"{held.name} does not fit into its schema: {str(error).strip().splitlines()[0]}") from error


def _check_schema(found: dict[str, Table], held: Manifest) -> None:
    for name in sorted(set(found) | set(held.tables)):
        if name not in found or name not in held.tables:
            where = "this version's schema" if name in found else "the backup"
            raise Refused(f"{held.name}: the table {name} is only in {where}, though the migrations are the same")
        if found[name].columns != held.tables[name].columns:
            raise Refused(f"{held.name}: the table {name} has other columns than this version's schema")


@contextlib.contextmanager
def _bare(connection: Connection, found: dict[str, Table]) -> Iterator[None]:
    """Tables without their triggers and without security forced on the owner; both exactly as before afterwards."""
    triggers = connection.execute(
        "SELECT c.relname, t.tgname, t.tgenabled::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
        "WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND c.relnamespace = 'public'::regnamespace"
    ).fetchall()
    forced = connection.execute(
        "SELECT relname FROM pg_class WHERE relforcerowsecurity AND relnamespace = 'public'::regnamespace"
    ).fetchall()
    alter = sql.SQL("ALTER TABLE {} ").format
    for name, trigger, _ in triggers:
        connection.execute(alter(found[name].named) + sql.SQL("DISABLE TRIGGER {}").format(sql.Identifier(trigger)))
    for (name,) in forced:
        connection.execute(alter(found[name].named) + sql.SQL("NO FORCE ROW LEVEL SECURITY"))
    yield
    states = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}
    for name, trigger, state in triggers:
        verb = sql.SQL(states[state])
        connection.execute(alter(found[name].named) + sql.SQL("{} TRIGGER {}").format(verb, sql.Identifier(trigger)))
    for (name,) in forced:
        connection.execute(alter(found[name].named) + sql.SQL("FORCE ROW LEVEL SECURITY"))


def _load(connection: Connection, table: Table, folder: Path, held: Manifest, *, key: bytes, say: Say) -> None:
    rows = held.tables[table.name].rows
    if rows >= MANY:
        say(f"loading {table.name}: {rows:,} rows")
    with connection.cursor() as cursor:
        with cursor.copy(table.copy_in()) as copy:
            for piece in verify.plain(folder, held, table.name, key=key):
                copy.write(piece)
        if cursor.rowcount != rows:
            raise Refused(f"{held.name}: {table.name} took {cursor.rowcount:,} of {rows:,} rows")


def _set_sequences(connection: Connection, held: Manifest) -> None:
    there = tables.sequences(connection)
    if set(there) != set(held.sequences):
        raise Refused(f"{held.name}: the sequences are not those of this version's schema")
    for name, (value, called) in held.sequences.items():
        connection.execute("SELECT setval(%s::regclass, %s, %s)", [f'public."{name}"', value, called])


def compare(*, address: str, held: Manifest) -> None:
    """Raise Refused unless every table holds the backup's rows, to the last byte of their text, and no other."""
    with tables.connect(address, purpose=PURPOSE) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        tables.check_all_rows_show(connection)
        for name, table in tables.found(connection).items():
            rows, content = tables.digest(connection, table)
            if rows != held.tables[name].rows:
                raise Refused(f"{name} has {rows:,} rows after the restore, the backup {held.tables[name].rows:,}")
            if content != held.tables[name].content_sha256:
                raise Refused(f"{name} holds other rows after the restore than the backup")
        if tables.sequences(connection) != held.sequences:
            raise Refused("the sequences do not stand where they stood")
