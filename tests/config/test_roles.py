"""`manage.py roles` makes the same three roles on a server of one's own, with or without a superuser's right."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from backend.config import embedded, home, roles
from tests.config import clones


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server without our roles and database; answers its superuser's URL."""
    with tempfile.TemporaryDirectory(prefix="afterglow-own-") as folder:
        local = Path(folder) / ".local"
        with clones.servers(local):
            port = int(clones.settings(local)["DATABASE_URL"].rpartition(":")[2].partition("/")[0])
            yield embedded.url(embedded.SUPERUSER, home.secret(local, "postgres"), port=port, database="postgres")
        home.remove(local)


@pytest.fixture(params=["superuser", "role with CREATEROLE and CREATEDB"])
def admin(server: str, request: pytest.FixtureRequest) -> str:
    """The URL of who makes the roles, on a server where they are not."""
    with psycopg.connect(server, autocommit=True) as superuser:
        superuser.execute("DROP DATABASE IF EXISTS afterglow WITH (FORCE)")
        for role in (*roles.ALL, "housekeeper"):
            if superuser.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                superuser.execute(f"REVOKE SET ON PARAMETER session_replication_role FROM {role}")
                superuser.execute(f"DROP ROLE {role}")
        if request.param == "superuser":
            return server
        superuser.execute("CREATE ROLE housekeeper LOGIN CREATEROLE CREATEDB PASSWORD 'keeper-of-the-house'")
        return f"postgresql://housekeeper:keeper-of-the-house@{server.rpartition('@')[2]}"


def urls(server: str, *, word: str = "one") -> dict[str, str]:
    """The three URLs with passwords of the installation's choice."""
    place = server.rpartition("@")[2].partition("/")[0]
    return {key: f"postgresql://{role}:{word}-{role}@{place}/afterglow" for role, key in roles.URLS.items()}


def command(tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py roles` with these settings and no others."""
    return subprocess.run(
        [sys.executable, "backend/manage.py", "roles"],
        cwd=clones.ROOT,
        env=clones.environment(tmp_path, **settings),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_roles_are_made_apart_and_mended_when_a_password_changes(server: str, admin: str, tmp_path: Path) -> None:
    for word in ("first", "second"):
        addresses = urls(server, word=word)
        done = command(tmp_path, DATABASE_ADMIN_URL=admin, **addresses)
        assert done.returncode == 0, done.stderr
        for role, key in roles.URLS.items():
            with psycopg.connect(addresses[key]) as connection:
                assert connection.execute("SELECT current_user").fetchone() == (role,)
    with psycopg.connect(addresses["DATABASE_OWNER_URL"]) as owner:
        mighty = owner.execute(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) "
            "AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)",
            [list(roles.ALL)],
        ).fetchall()
        members = owner.execute(
            "SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = ANY(%s)",
            [list(roles.ALL)],
        ).fetchall()
        owner.execute("CREATE TABLE made_later (n int)")
    assert (mighty, members) == ([], [])
    with psycopg.connect(addresses["DATABASE_URL"]) as application:
        application.execute("INSERT INTO made_later VALUES (1)")


def test_once_made_the_owner_alone_can_give_the_rights_anew(server: str, admin: str, tmp_path: Path) -> None:
    addresses = urls(server)
    assert command(tmp_path, DATABASE_ADMIN_URL=admin, **addresses).returncode == 0
    with psycopg.connect(addresses["DATABASE_OWNER_URL"]) as owner:
        owner.execute("CREATE TABLE reminders_rule (n int)")
    done = command(tmp_path, **addresses)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(addresses["DATABASE_DISPATCH_URL"]) as dispatch:
        dispatch.execute("SELECT * FROM reminders_rule")


@pytest.mark.parametrize(
    ("key", "wrong", "words"),
    [
        ("DATABASE_URL", "postgresql://somebody:x@127.0.0.1:1/afterglow", "must name the role afterglow_app"),
        ("DATABASE_URL", "postgresql://afterglow_app@127.0.0.1:1/afterglow", "has no password"),
        ("DATABASE_DISPATCH_URL", "", "DATABASE_DISPATCH_URL is not set"),
    ],
)
def test_a_url_that_cannot_be_right_is_one_line(tmp_path: Path, key: str, wrong: str, words: str) -> None:
    done = command(tmp_path, **(urls("x@127.0.0.1:1/postgres") | {key: wrong}))
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_server_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    done = command(tmp_path, **urls("x@127.0.0.1:1/postgres"))
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
