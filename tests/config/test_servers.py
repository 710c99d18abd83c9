"""The embedded servers are closed to everyone else on the machine, and come back after a kill -9."""

import contextlib
import os
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from backend.config import embedded, home, roles
from tests.config import clones

AS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def local() -> Iterator[Path]:
    """The `.local/` of a clone with open parent folders, its servers up."""
    with tempfile.TemporaryDirectory(prefix="afterglow-open-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - the point of it
        place = Path(folder) / ".local"
        with clones.servers(place):
            yield place
        home.remove(place)


def test_nobody_else_may_read_what_the_clone_keeps(local: Path) -> None:
    closed = [local / "env", local / "servers.json", *(local / "secrets").iterdir(), *(local / "log").iterdir()]
    for path in closed:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    for folder in (local / "secrets", local / "log", local / "servers"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(local.stat().st_mode) == (0o711 if AS_ROOT else 0o700)


def test_the_servers_folder_is_named_and_as_root_belongs_to_a_uid_without_account(local: Path) -> None:
    servers = Path((local / "where").read_text().strip())
    assert servers == local / "servers"
    assert (servers.stat().st_uid in home.SPARE_UIDS) == AS_ROOT


def test_every_line_of_the_host_based_access_asks_for_a_password_from_this_machine(local: Path) -> None:
    text = (local / "servers" / "postgres" / "pg_hba.conf").read_text()
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert lines
    for kind, *_middle, method in lines:
        assert method == "scram-sha-256"
        assert kind == "local" or _middle[-1] == "127.0.0.1/32"


def test_the_servers_listen_on_loopback_only_and_on_no_socket_file(local: Path) -> None:
    port = int(clones.settings(local)["DATABASE_URL"].rpartition(":")[2].partition("/")[0])
    mighty = embedded.url(embedded.SUPERUSER, home.secret(local, "postgres"), port=port)
    with psycopg.connect(mighty) as superuser:
        assert superuser.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
        assert superuser.execute("SHOW unix_socket_directories").fetchone() == ("",)
        assert superuser.info.server_version >= 180000


@pytest.mark.parametrize("user", ["postgres", "afterglow_superuser", "afterglow_app"])
def test_the_database_refuses_whoever_has_no_password(local: Path, user: str) -> None:
    address = clones.settings(local)["DATABASE_URL"].rpartition("@")[2]
    with pytest.raises(psycopg.OperationalError, match=r"no password supplied|password authentication failed"):
        psycopg.connect(f"postgresql://{user}@{address}")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://{user}:wrong@{address}")


def test_redis_refuses_whoever_has_no_password(local: Path) -> None:
    url = clones.settings(local)["REDIS_URL"]
    with redis.Redis.from_url(url) as known:
        assert known.ping()
    with (
        redis.Redis.from_url(f"redis://{url.rpartition('@')[2]}") as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_no_role_of_the_three_is_mighty_or_a_member_of_another(local: Path) -> None:
    with psycopg.connect(clones.settings(local)["DATABASE_OWNER_URL"]) as owner:
        found = owner.execute(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin FROM pg_roles "
            "WHERE rolname = ANY(%s) ORDER BY rolname",
            [list(roles.ALL)],
        ).fetchall()
        members = owner.execute(
            "SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = ANY(%s)",
            [list(roles.ALL)],
        ).fetchall()
    assert found == [
        ("afterglow_app", False, False, False, False, True),
        ("afterglow_dispatch", False, False, False, False, True),
        ("afterglow_owner", False, False, False, True, True),
    ]
    assert members == []


@pytest.mark.parametrize("key", ["DATABASE_URL", "DATABASE_DISPATCH_URL"])
def test_only_the_owner_makes_tables_and_no_role_turns_into_it(local: Path, key: str) -> None:
    with psycopg.connect(clones.settings(local)[key], autocommit=True) as connection:
        for statement in ("CREATE TABLE mine (n int)", "SET ROLE afterglow_owner", "CREATE DATABASE another"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_the_dispatcher_sees_the_reminder_tables_and_no_others(local: Path) -> None:
    urls = clones.settings(local)
    with psycopg.connect(urls["DATABASE_OWNER_URL"]) as owner:
        owner.execute("CREATE TABLE reminders_rule (n int)")
        owner.execute("CREATE TABLE secret_notes (n int)")
        roles.grant(owner)
        owner.execute("CREATE TABLE made_later (n int)")
    with psycopg.connect(urls["DATABASE_DISPATCH_URL"], autocommit=True) as dispatch:
        dispatch.execute("INSERT INTO reminders_rule VALUES (1)")
        for statement in ("SELECT * FROM secret_notes", "SELECT * FROM made_later", "DELETE FROM reminders_rule"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                dispatch.execute(statement)
    with psycopg.connect(urls["DATABASE_URL"], autocommit=True) as application:
        for table in ("secret_notes", "made_later", "reminders_rule"):
            application.execute(f"DELETE FROM {table}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            application.execute("DROP TABLE made_later")


def test_a_server_that_dies_is_started_again_on_its_port_with_all_that_was_committed(local: Path) -> None:
    urls = clones.settings(local)
    with psycopg.connect(urls["DATABASE_OWNER_URL"]) as owner:
        owner.execute("CREATE TABLE kept AS SELECT 1 AS n")
    with contextlib.closing(psycopg.connect(urls["DATABASE_OWNER_URL"])) as busy:
        # A process in the midst of a long statement outlives the server for a while, and no other may start meanwhile.
        busy.pgconn.send_query(b"SELECT count(*) FROM generate_series(1, 5000000)")
        for line in (local / "servers.pids").read_text().splitlines():
            os.kill(int(line.split("\t")[0]), signal.SIGKILL)

    def back() -> bool:
        try:
            with (
                psycopg.connect(urls["DATABASE_URL"]) as application,
                redis.Redis.from_url(urls["REDIS_URL"]) as broker,
            ):
                return application.execute("SELECT n FROM kept").fetchone() == (1,) and bool(broker.ping())
        except (psycopg.OperationalError, redis.RedisError):
            return False

    clones.eventually(back, "the servers did not come back")
    assert clones.settings(local) == urls


def test_commands_share_the_servers_and_the_last_one_ends_them(tmp_path: Path) -> None:
    local = tmp_path / ".local"
    try:
        with clones.servers(local):
            first = clones.stack(local, "exec", "--", "sh", "-c", "echo $DATABASE_URL")
            second = clones.stack(local, "exec", "--", "sh", "-c", "echo $DATABASE_URL; exit 7")
            assert first.stdout == second.stdout == clones.settings(local)["DATABASE_URL"] + "\n"
            assert (first.returncode, second.returncode) == (0, 7)
            assert (local / "servers.json").exists()
        clones.eventually(lambda: not clones.processes_of(local), "something was left running")
    finally:
        home.remove(local)


def test_after_a_kill_of_everything_the_next_start_recovers(tmp_path: Path) -> None:
    local = tmp_path / ".local"
    try:
        with clones.servers(local) as first:
            with psycopg.connect(clones.settings(local)["DATABASE_OWNER_URL"]) as owner:
                owner.execute("CREATE TABLE kept AS SELECT 1 AS n")
            first.kill()
            clones.kill_all(local)
            (local / "servers.json").unlink(missing_ok=True)
        again = clones.stack(
            local, "exec", "--", "python", "-c",
            "import os, psycopg; print(psycopg.connect(os.environ['DATABASE_URL']).execute('TABLE kept').fetchall())",
        )  # fmt: skip
        assert again.stdout == "[(1,)]\n", again.stderr
    finally:
        clones.eventually(lambda: not clones.processes_of(local), "something was left running")
        home.remove(local)


@pytest.mark.skipif(not AS_ROOT, reason="only root hands its servers to another uid")
def test_below_a_closed_folder_the_servers_live_under_var_lib_and_nothing_outside_is_opened(tmp_path: Path) -> None:
    local = tmp_path / "home" / "clone" / ".local"
    local.parent.mkdir(parents=True)
    os.chmod(tmp_path / "home", 0o700)
    above = [*local.parents]
    before = [stat.S_IMODE(folder.stat().st_mode) for folder in above]
    with clones.servers(local):
        servers = Path((local / "where").read_text().strip())
        assert servers.parent == Path("/var/lib")
        assert servers.name == f"afterglow-{home.mark_of(local)}"
        assert stat.S_IMODE(servers.stat().st_mode) == 0o700
        assert servers.stat().st_uid in home.SPARE_UIDS
        assert (servers / "postgres" / "PG_VERSION").read_text() == "18\n"
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in above] == before
    home.remove(local)
    assert not servers.exists()
    assert not local.exists()
