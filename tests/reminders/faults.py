"""A clone of its own for the tests of faults: servers that may be killed, and the program's parts that die on them."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from django.db import connections
from psycopg.conninfo import conninfo_to_dict

from backend.common import clock
from backend.config import embedded, home
from tests import live
from tests.config import clones
from tests.reminders.receivers import b64

LEASE = "interval '120 seconds'"
AFTERMATH = timedelta(seconds=2)
VAPID = bytes(range(1, 33))
ALIASES = {"default": "DATABASE_URL", "attempts": "DATABASE_URL", "owner": "DATABASE_OWNER_URL"}
ALIASES |= {"dispatch": "DATABASE_DISPATCH_URL"}


class Site:
    """A PostgreSQL and a Redis that nobody else uses; the keeper starts again what dies."""

    def __init__(self, local: Path) -> None:
        self.local, self.folder = local, local.parent
        self.urls = clones.settings(local)
        port = int(self.urls["DATABASE_URL"].rpartition(":")[2].partition("/")[0])
        self._mighty = embedded.url(embedded.SUPERUSER, home.secret(local, "postgres"), port=port)

    def ask(self, statement: str, values: Any = None, *, seconds: float = 60.0) -> list[Any]:
        """What the database answers to its superuser, waiting for it where it was just killed."""
        end = time.monotonic() + seconds
        while True:
            try:
                with psycopg.connect(self._mighty, autocommit=True, connect_timeout=5) as connection:
                    cursor = connection.execute(statement, values)
                    return cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError:
                assert time.monotonic() < end, "the database did not come back"
                time.sleep(0.1)

    def fill(self, statements: list[str], values: Any) -> None:
        """Makes rows in one transaction, without the triggers that tell of each."""
        with psycopg.connect(self._mighty) as connection:
            connection.execute("SET session_replication_role = replica")
            for statement in statements:
                connection.execute(statement, values)

    def pid(self, server: str) -> int:
        """The process of `postgres` or `redis`."""
        lines = (line.split("\t") for line in (self.local / "servers.pids").read_text().splitlines())
        return next(int(pid) for pid, _, name in lines if name == server)

    def kill(self, server: str) -> None:
        """kill -9, which Redis answers by coming back empty, and PostgreSQL by reading its log."""

        def killed() -> bool:
            with contextlib.suppress(ProcessLookupError):  # the last time was just now, and it is not back yet
                os.kill(self.pid(server), signal.SIGKILL)
                return True
            return False

        clones.eventually(killed, f"{server} did not come back")

    def cut_connections(self) -> None:
        """Every connection of the program's to the database ends now."""
        self.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'afterglow%'"
        )

    @contextlib.contextmanager
    def pointed(self) -> Iterator[None]:
        """This process's own connections lead here."""
        before = {}
        for alias, key in ALIASES.items():
            connections[alias].close()
            settings = connections[alias].settings_dict
            parts = conninfo_to_dict(self.urls[key])
            wanted = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password", "NAME": "dbname"}
            before[alias] = {name: settings[name] for name in wanted}
            settings.update({name: str(parts[part]) for name, part in wanted.items()})
        try:
            yield
        finally:
            for alias, settings in before.items():
                connections[alias].close()
                connections[alias].settings_dict.update(settings)


def forget_connections() -> None:
    """This process's own, which a fault may have cut, are made anew."""
    for alias in ALIASES:
        connections[alias].close()


@contextlib.contextmanager
def site() -> Iterator[Site]:
    """The servers, migrated; afterwards nothing of theirs runs or lies about."""
    with tempfile.TemporaryDirectory(prefix="afterglow-faults-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - the servers' own uid must pass
        local = Path(folder) / ".local"
        try:
            with clones.servers(local):
                made = Site(local)
                command = [sys.executable, "-m", "backend.config.parts", "migrate"]
                with live.process(*command, env=live.environment("afterglow", **made.urls)) as child:
                    assert child.wait(120) == 0
                yield made
            assert not clones.processes_of(local), "something was left running"
        finally:
            clones.kill_all(local)
            home.remove(local)
            clones.USED.discard(local)


class Machinery:
    """Workers and beat as processes of their own, which may be killed, stopped and started again."""

    def __init__(self, site: Site, *, smtp: int) -> None:
        self._site, self._running = site, contextlib.ExitStack()
        self._parts: dict[str, subprocess.Popen[bytes]] = {}
        self._stopped: set[int] = set()
        self._lock = threading.RLock()
        self.ended: list[str] = []
        self.faults: list[datetime] = []
        self._variables = live.environment(
            "afterglow",
            **{
                **site.urls,
                "NOTE_KEYS_FILE": live.settings.NOTE_KEYS_FILE,
                "SECRET_KEY": live.settings.SECRET_KEY,
                "VAPID_PRIVATE_KEY": b64(VAPID),
                "EMAIL_URL": f"smtp://127.0.0.1:{smtp}",
                "LOCAL_DIR": str(site.local),
                "LOG_LEVEL": "WARNING",
            },
        )

    def start(self, *names: str) -> None:
        """Starts parts that do not run; `worker 2` is one more worker."""
        with self._lock:
            for name in names:
                if name in self._parts and self._parts[name].poll() is None:
                    continue
                command = [sys.executable, "-m", "backend.config.parts", name.partition(" ")[0]]
                log = self._site.folder / f"{name}.log"
                self._parts[name] = self._running.enter_context(live.process(*command, env=self._variables, log=log))

    def kill(self, name: str) -> None:
        """kill -9 for a part; its forks end with it, and it is started again, as a supervisor does."""
        with self._lock:
            self._parts[name].kill()
            self._parts[name].wait()
            self.note()
            self.start(name)

    def mend(self) -> None:
        """Starts again what ended by itself, as a supervisor does, and remembers it."""
        with self._lock:
            for name, part in self._parts.items():
                if part.poll() is not None:
                    self.ended.append(f"{name} ({part.returncode})")
                    self.note()
                    self.start(name)

    def kill_forks(self, name: str) -> None:
        """kill -9 for the processes of a worker's pool, but not for the worker."""
        for pid in self.forks(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.note()

    def stop(self, name: str) -> None:
        """Stops a part and its forks in the midst of whatever they do."""
        for pid in (self._parts[name].pid, *self.forks(name)):
            os.kill(pid, signal.SIGSTOP)
            self._stopped.add(pid)
        self.note()

    def stop_server(self, server: str) -> None:
        """A server that answers nothing any more."""
        self._stopped.add(self._site.pid(server))
        os.kill(self._site.pid(server), signal.SIGSTOP)
        self.note()

    def go_on(self) -> None:
        """What was stopped goes on."""
        while self._stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._stopped.pop(), signal.SIGCONT)

    def note(self) -> None:
        """Something broke now: what was in hand then may have lost its holder."""
        self.faults.append(clock.now())

    def forks(self, name: str) -> list[int]:
        """The processes of a part's pool."""
        pid = self._parts[name].pid
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def threads(self, name: str) -> int:
        """How many threads a part has."""
        return len(list(Path(f"/proc/{self._parts[name].pid}/task").iterdir()))

    def end(self, *names: str) -> None:
        """Ends parts at once; without names all of them."""
        self.go_on()
        with self._lock:
            for name in names or tuple(self._parts):
                if (part := self._parts.pop(name, None)) is not None:
                    part.kill()
                    part.wait()
            if not names:
                self._running.close()

    def logs(self) -> str:
        """The end of what each part said."""
        found = sorted(self._site.folder.glob("*.log"))
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in found)

    def until(self, holds: Callable[[], Any], *, seconds: float) -> None:
        """Waits until it holds; fails with the logs."""
        end = time.monotonic() + seconds
        while not holds():
            self.mend()
            assert time.monotonic() < end, f"it did not happen\n{self.logs()}"
            time.sleep(0.1)

    def until_ready(self) -> None:
        """Each part has said that it lives since now."""
        began = clock.now()
        self.start("worker", "urgent", "beat")
        said = "SELECT count(DISTINCT part) FROM reminders_heartbeat WHERE beat_at > %s AND part = ANY(%s)"
        parts = ["worker", "urgent", "beat", "tick"]
        self.until(lambda: self._site.ask(said, [began, parts])[0][0] == len(parts), seconds=60)

    def let_leases_end(self) -> None:
        """What was in hand when something broke, and still is: its lease ends now instead of after two minutes.

        A process of a killed PostgreSQL may still commit what it is doing, hence a little more than the moment itself.
        """
        if self.faults:
            self._site.ask(
                f"UPDATE reminders_delivery SET lease_ends_at = lease_ends_at - {LEASE} "
                "WHERE status IN ('leased', 'sending') AND changed_at <= %s AND lease_ends_at > now()",
                [self.faults[-1] + AFTERMATH],
            )
