"""A database beside the running one, and the one moment in which it takes its place: two renames, one transaction."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import psycopg
from psycopg import conninfo, sql

from backend.config import roles
from backend.config.backups.sealing import Refused

BESIDE, BEFORE = "_restoring", "_before_"
LOCK = 0x616674657267  # "afterg": one restore at a time on a server
TRIES = 20

Admin = psycopg.Connection[tuple[Any, ...]]


@contextlib.contextmanager
def administering(address: str) -> Iterator[Admin]:
    """A connection that may make and rename databases, in a database that is neither of the two.

    `address` is DATABASE_ADMIN_URL's, or the owner's where the owner may make databases. Raises Refused.
    """
    try:
        with psycopg.connect(conninfo.make_conninfo(address, dbname="postgres"), autocommit=True) as admin:
            if admin.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone() != (True,):
                raise Refused("another restore is at work on this server: wait until it has ended")
            may = admin.execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
            if may != (True,):
                raise Refused("the owner may not make databases here: set DATABASE_ADMIN_URL (docs/backup.md)")
            yield admin
    except psycopg.OperationalError as error:
        raise Refused(f"the database server does not answer: {str(error).strip().splitlines()[0]}") from error


def make_beside(admin: Admin, *, database: str) -> str:
    """An empty database beside the running one; what an interrupted restore left is dropped first."""
    name = f"{database}{BESIDE}"
    drop(admin, name)
    named, owner = sql.Identifier(name), sql.Identifier(roles.OWNER)
    admin.execute(sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(named, owner))
    admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(named))
    admin.execute(
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}, {}").format(
            named, sql.Identifier(roles.APPLICATION), sql.Identifier(roles.DISPATCH)
        )
    )
    return name


def drop(admin: Admin, name: str) -> None:
    """Drop a database of a restore's, with whoever is still in it. Raises Refused when somebody cannot be sent away.

    Not WITH (FORCE): that fails for everyone but a superuser while an autovacuum is at work there.
    """
    _alone(admin, name, do=lambda: admin.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))))


def exchange(admin: Admin, *, database: str, fresh: str, now: datetime) -> str:
    """Give `fresh` the running database's name; returns the name under which the old one is kept.

    Sessions in either are ended. Both renames happen or neither. Raises Refused when somebody cannot be sent away.
    """
    before = f"{database}{BEFORE}{now:%Y%m%dt%H%M%Sz}"

    def rename() -> None:
        with admin.transaction():
            for old, new in ((database, before), (fresh, database)):
                admin.execute(
                    sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new))
                )

    _alone(admin, database, fresh, do=rename)
    return before


def _alone(admin: Admin, *names: str, do: Callable[[], object]) -> None:
    """Does it while nobody is in the databases; who comes back in that instant is sent away again."""
    for _ in range(TRIES):
        _send_away(admin, *names)
        with contextlib.suppress(psycopg.errors.ObjectInUse):
            do()
            return
    raise Refused(f"somebody is always in {names[0]}: stop web, worker and beat, and start again; nothing was changed")


def _send_away(admin: Admin, *names: str) -> None:
    # Sessions of roles only. An autovacuum has no role: an owner may not end it, and need not, for PostgreSQL itself
    # ends it when a database is dropped or renamed.
    try:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = ANY(%s) AND usesysid IS NOT NULL AND pid <> pg_backend_pid()",
            [list(names)],
        )
    except psycopg.errors.InsufficientPrivilege as error:
        raise Refused(
            f"{names[0]} is in use: stop web, worker and beat, or set DATABASE_ADMIN_URL; nothing was changed"
        ) from error


def kept_before(admin: Admin, *, database: str) -> list[str]:
    """The databases that restores replaced and kept, oldest first."""
    rows = admin.execute("SELECT datname FROM pg_database ORDER BY datname").fetchall()
    return [name for (name,) in rows if str(name).startswith(f"{database}{BEFORE}")]
