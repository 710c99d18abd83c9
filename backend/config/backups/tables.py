"""The database as a backup sees it: every table and sequence of the schema, all rows shown, in an order that stays."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from backend.config.backups.sealing import Refused

Connection = psycopg.Connection[tuple[Any, ...]]
# Whatever the server or the role prefers: the text of a value must be the same wherever it is written.
PLAIN = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "iso_8601",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "xmloption": "content",
    "statement_timeout": "0",
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "0",
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table: columns with their types (those that the database computes are left out), and its primary key."""

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]

    @property
    def named(self) -> sql.Identifier:
        """The table in a statement."""
        return sql.Identifier("public", self.name)

    @property
    def listed(self) -> sql.Composed:
        """The columns in a statement."""
        return sql.SQL(", ").join(map(sql.Identifier, self.columns))

    def copy_out(self) -> sql.Composed:
        """All rows as COPY's text, in the order of the key."""
        texts = {"text", "character varying", "character", "citext", "name"}
        order = [
            sql.SQL('{} COLLATE "C"' if self.columns[name].partition("(")[0] in texts else "{}").format(
                sql.Identifier(name)
            )
            for name in self.key
        ]
        by = sql.SQL(", ").join(order) if order else sql.SQL('t::text COLLATE "C"')
        return sql.SQL("COPY (SELECT {} FROM ONLY {} AS t ORDER BY {}) TO STDOUT").format(self.listed, self.named, by)

    def copy_in(self) -> sql.Composed:
        """The statement that takes COPY's text."""
        return sql.SQL("COPY {} ({}) FROM STDIN").format(self.named, self.listed)


@contextlib.contextmanager
def connect(address: str, *, purpose: str, **more: Any) -> Iterator[Connection]:
    """A connection of the owner's on which nothing depends on the server's taste, with the purpose that shows all rows.

    `purpose` begins with `maintenance`: row-level security, forced on the owner too, asks for it.
    """
    with psycopg.connect(address, autocommit=True, application_name="afterglow backup", **more) as connection:
        for name, value in PLAIN.items():
            connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        connection.execute("SELECT set_config('afterglow.purpose', %s, false)", [purpose])
        yield connection


def found(connection: Connection) -> dict[str, Table]:
    """Every table by name. Raises Refused where one lies outside the schema `public`, which a backup would miss."""
    elsewhere = connection.execute(
        "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE (c.relkind IN ('r', 'p', 'm', 'f') AND n.nspname !~ '^(pg_|information_schema$|public$)') "
        "OR (c.relkind IN ('p', 'm', 'f') AND n.nspname = 'public') ORDER BY 1"
    ).fetchall()
    if elsewhere:
        raise Refused(f"{elsewhere[0][0]} is no plain table of the schema public, so a backup would miss it")
    rows = connection.execute(
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), "
        "(SELECT array_position(i.indkey::int2[], a.attnum) FROM pg_index i "
        "WHERE i.indrelid = c.oid AND i.indisprimary) "
        "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attgenerated = '' ORDER BY 1, 2"
    ).fetchall()
    columns: dict[str, dict[str, str]] = {}
    keys: dict[str, dict[int, str]] = {}
    for table, column, kind, place in rows:
        columns.setdefault(table, {})[column] = kind
        if place is not None:
            keys.setdefault(table, {})[place] = column
    return {
        name: Table(name=name, columns=kinds, key=tuple(keys[name][n] for n in sorted(keys.get(name, {}))))
        for name, kinds in columns.items()
    }


def check_all_rows_show(connection: Connection) -> None:
    """Raise Refused unless row-level security shows this session every row of every table.

    A table is believed when its security does not bind this role, or when a permissive policy for reading, for this
    role, holds whatever the row is, and no restrictive one stands beside it. Without the purpose none holds.
    """
    bound = connection.execute(
        "SELECT c.oid, c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace "
        "AND row_security_active(c.oid) ORDER BY 2"
    ).fetchall()
    for oid, name in bound:
        policies = connection.execute(
            "SELECT p.polpermissive, pg_get_expr(p.polqual, p.polrelid) FROM pg_policy p WHERE p.polrelid = %s "
            "AND p.polcmd IN ('*', 'r') AND EXISTS (SELECT FROM unnest(p.polroles) r "
            "WHERE r = 0 OR pg_has_role(r, 'USAGE'))",
            [oid],
        ).fetchall()
        if not all(permissive for permissive, _ in policies) or not any(_holds(connection, p) for _, p in policies):
            raise Refused(
                f"row-level security hides rows of {name} from this session (afterglow.purpose must begin with "
                "'maintenance', and the table needs its policy for the owner): nothing was kept"
            )


def _holds(connection: Connection, condition: str) -> bool:
    """Whether a policy's condition from the database's own catalogue is true without looking at any row."""
    try:
        with connection.transaction():
            row = connection.execute(sql.SQL("SELECT ({})").format(sql.SQL(condition))).fetchone()
    except psycopg.Error:
        return False  # it names a column
    return row == (True,)


def count(connection: Connection, table: Table) -> int:
    """How many rows the table has."""
    row = connection.execute(sql.SQL("SELECT count(*) FROM ONLY {}").format(table.named)).fetchone()
    if row is None:
        raise AssertionError
    return int(row[0])


def pour(connection: Connection, table: Table, into: Callable[[bytes | bytearray | memoryview], object]) -> int:
    """Hand every row's text to `into`, in order; returns how many rows the database says that it sent."""
    with connection.cursor() as cursor:
        with cursor.copy(table.copy_out()) as copy:
            for block in copy:
                into(block)
        return cursor.rowcount


def digest(connection: Connection, table: Table) -> tuple[int, str]:
    """Rows, and the SHA-256 of all of the table's text."""
    seen = hashlib.sha256()
    return pour(connection, table, seen.update), seen.hexdigest()


def sequences(connection: Connection) -> dict[str, tuple[int, bool]]:
    """Where each sequence stands: its last value, and whether that was given out."""
    names = connection.execute(
        "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1"
    ).fetchall()
    stands: dict[str, tuple[int, bool]] = {}
    for (name,) in names:
        query = sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier("public", name))
        row = connection.execute(query).fetchone()
        if row is None:
            raise AssertionError
        stands[name] = (int(row[0]), bool(row[1]))
    return stands


def in_order_of_references(connection: Connection, names: set[str]) -> tuple[list[str], bool]:
    """The tables so that each comes after those that it refers to, and whether that was possible for all."""
    rows = connection.execute(
        "SELECT DISTINCT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint "
        "WHERE contype = 'f' AND conrelid <> confrelid AND connamespace = 'public'::regnamespace"
    ).fetchall()
    needs: dict[str, set[str]] = {name: set() for name in names}
    for table, referred in rows:
        needs[table.strip('"')].add(referred.strip('"'))
    order: list[str] = []
    while ready := sorted(name for name, wanted in needs.items() if wanted <= set(order) and name not in order):
        order += ready
    circle = sorted(names - set(order))
    return [*order, *circle], not circle
