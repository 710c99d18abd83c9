"""The three roles of the database and their rights: owner, application, dispatch. None is a member of another."""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import conninfo, sql

from backend.config import home

OWNER = "afterglow_owner"
APPLICATION = "afterglow_app"
DISPATCH = "afterglow_dispatch"
ALL = (OWNER, APPLICATION, DISPATCH)
DISPATCH_TABLES = (
    "reminders_rule",
    "reminders_reminder",
    "reminders_delivery",
    "reminders_escalation",
    "reminders_silence",
    "reminders_blockedaddress",
    "reminders_heartbeat",
    "reminders_tally",
    "reminders_zonedata",
)


class Connection(Protocol):
    """A psycopg connection or one of Django's; all that is needed is a cursor."""

    def cursor(self) -> Any: ...


def make(
    admin: psycopg.Connection[Any], *, passwords: Mapping[str, str], database: str, create_databases: bool = False
) -> None:
    """Make or mend the roles and the database, as a superuser or a role with CREATEROLE and CREATEDB (autocommit).

    The database is made last: where it exists, all before it was done. `create_databases` lets the owner make the
    tests' databases; leave it off on a server for patients.
    """
    superuser = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (True,)
    for role in ALL:
        known = admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
        rights = "LOGIN NOCREATEROLE " + ("CREATEDB" if create_databases and role == OWNER else "NOCREATEDB")
        if superuser or not known:
            rights += " NOSUPERUSER NOBYPASSRLS NOREPLICATION"  # only a superuser may say so of a role that exists
        # Hashed here, so that the password itself is in no statement and in no server log.
        hashed = admin.pgconn.encrypt_password(passwords[role].encode(), role.encode(), b"scram-sha-256").decode()
        admin.execute(
            sql.SQL("{} ROLE {} WITH {} PASSWORD {}").format(
                sql.SQL("ALTER" if known else "CREATE"), sql.Identifier(role), sql.SQL(rights), hashed
            )
        )
    if create_databases and superuser and admin.info.server_version >= 150000:
        # Tests empty their own databases without waking the triggers that guard history and trail.
        admin.execute(sql.SQL("GRANT SET ON PARAMETER session_replication_role TO {}").format(sql.Identifier(OWNER)))
    _separate(admin)
    if not superuser:
        # Only a member may give a database to a role; the membership is the administrator's, not between the three.
        admin.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(OWNER)))
    if not admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
        admin.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(
                sql.Identifier(database), sql.Identifier(OWNER)
            )
        )
    admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(database), sql.Identifier(OWNER)))
    admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database)))
    admin.execute(
        sql.SQL("GRANT CONNECT ON DATABASE {} TO {}, {}").format(
            sql.Identifier(database), sql.Identifier(APPLICATION), sql.Identifier(DISPATCH)
        )
    )


def _separate(admin: psycopg.Connection[Any]) -> None:
    """Take back any membership of one of the three in another."""
    found = admin.execute(
        "SELECT given.rolname, member.rolname FROM pg_auth_members m JOIN pg_roles given ON given.oid = m.roleid "
        "JOIN pg_roles member ON member.oid = m.member WHERE given.rolname = ANY(%s) AND member.rolname = ANY(%s)",
        [list(ALL), list(ALL)],
    ).fetchall()
    for given, member in found:
        admin.execute(sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(given), sql.Identifier(member)))


def grant(connection: Connection) -> None:
    """Give the application's and the dispatcher's roles their rights in this database, as its owner; after `migrate`.

    Safe at any time and any number of times. Tables made later are covered for the application by default
    privileges; the dispatcher sees the reminder tables that exist now and no other.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = {row[0] for row in cursor.fetchall()}
        for statement in statements(tables):
            cursor.execute(statement)


def statements(tables: Iterable[str]) -> list[str]:
    """The rights as SQL, in order; names are constants of this module, so nothing needs quoting."""
    everything = "SELECT, INSERT, UPDATE, DELETE"
    lines = [
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA public TO {APPLICATION}, {DISPATCH}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {everything} ON TABLES TO {APPLICATION}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO {APPLICATION}",
        f"GRANT {everything} ON ALL TABLES IN SCHEMA public TO {APPLICATION}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {APPLICATION}",
    ]
    present = set(tables)
    # The audit trail is written by the owner's function alone, and nobody changes it.
    trail = {
        "accounts_auditevent": "SELECT",
        "accounts_auditsubject": "SELECT",
        "accounts_auditlink": "SELECT, INSERT",
        "accounts_auditpending": "SELECT, DELETE",
    }
    for name, rights in trail.items():
        if name in present:
            lines += [f"REVOKE ALL ON {name} FROM {APPLICATION}", f"GRANT {rights} ON {name} TO {APPLICATION}"]
    dispatched = [name for name in DISPATCH_TABLES if name in present]
    if dispatched:
        lines.append(f"GRANT SELECT, INSERT, UPDATE ON {', '.join(dispatched)} TO {DISPATCH}")
    return lines


URLS = {OWNER: "DATABASE_OWNER_URL", APPLICATION: "DATABASE_URL", DISPATCH: "DATABASE_DISPATCH_URL"}


def main(arguments: list[str]) -> int:
    """`manage.py roles [--create-databases]`: make or mend the roles, the database and the rights that the URLs name.

    Works with DATABASE_ADMIN_URL: a superuser, or a role with CREATEROLE and CREATEDB. Without it only the rights are
    given anew, by the owner.
    """
    try:
        addresses = {role: address(key) for role, key in URLS.items()}
        passwords = {role: password_of(role, addresses[role]) for role in ALL}
        database = str(conninfo.conninfo_to_dict(addresses[OWNER])["dbname"])
        if admin_url := setting("DATABASE_ADMIN_URL"):
            with psycopg.connect(admin_url, autocommit=True) as admin:
                make(admin, passwords=passwords, database=database, create_databases="--create-databases" in arguments)
        with psycopg.connect(addresses[OWNER]) as owner:
            grant(owner)
    except (psycopg.Error, home.CannotStart, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        print(f"afterglow: {reason} (DATABASE_ADMIN_URL names who may make roles: docs/settings.md)", file=sys.stderr)
        return 1
    print(f"roles {', '.join(ALL)} and database {database} are ready; next: manage.py migrate --database owner")
    return 0


def setting(key: str) -> str:
    """A setting from the environment, from the file that KEY_FILE names, or from `.local/env`."""
    if path := os.environ.get(f"{key}_FILE"):
        return Path(path).read_text().strip()
    return os.environ.get(key) or home.read_env(home.local_dir()).get(key, "")


def address(key: str) -> str:
    """The URL in a setting that must be there."""
    found = setting(key)
    if not found:
        raise home.CannotStart(f"{key} is not set")
    return found


def password_of(role: str, url: str) -> str:
    """The password in the URL, which must name the role of its purpose."""
    parts = conninfo.conninfo_to_dict(url)
    if parts.get("user") != role:
        raise home.CannotStart(f"{URLS[role]} must name the role {role}, not {parts.get('user')}")
    if not parts.get("password"):
        raise home.CannotStart(f"{URLS[role]} has no password")
    return str(parts["password"])
