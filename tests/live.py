"""Real servers for tests: the API by granian, and worker and beat of Celery, on a test's own database."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import requests
from django.conf import settings
from redis import Redis

from backend.config.settings import env
from backend.demo.mailbox import Mail, Maildir

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]


@dataclass
class App:
    """A running API server and its process."""

    base_url: str
    pid: int


def worker() -> int:
    """Which of the processes that share the tests this is, from 0."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(database: str, **more: str) -> dict[str, str]:
    """The environment of a server process that works on this database."""
    urls = {}
    for key in ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_DISPATCH_URL"):
        parts = urlsplit(env.str(key))
        urls[key] = urlunsplit(parts._replace(path=f"/{database}"))
    return {
        **os.environ,
        **urls,
        "SECRET_KEY": settings.SECRET_KEY,
        "NOTE_KEYS_FILE": settings.NOTE_KEYS_FILE,
        "VAPID_PRIVATE_KEY": settings.VAPID_PRIVATE_KEY or "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA",
        "EXPORTS_DIR": str(Path(tempfile.gettempdir()) / f"exports_of_{database}"),
        "ERASURES_LEDGER": str(Path(tempfile.gettempdir()) / f"exports_of_{database}" / "erasures.jsonl"),
        "REDIS_URL": settings.REDIS_URL,
        "EMAIL_URL": settings.EMAIL_URL,
        "DEMO": "True",
        "RATE_LIMITS": "off",
        **more,
    }


@contextlib.contextmanager
def process(*command: str, env: dict[str, str], log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A child that is stopped at the end, gently first."""
    with open(log or os.devnull, "ab") as out:
        child = subprocess.Popen(
            command, env=env, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_until(
    url: str, *, seconds: float = 30, ready: Callable[[requests.Response], bool] = lambda answer: True
) -> None:
    """Waits until the address answers 200 and is ready."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(requests.ConnectionError):
            answer = requests.get(url, timeout=5)
            if answer.status_code == 200 and ready(answer):
                return
        if time.monotonic() > end:
            raise TimeoutError(f"{url} did not answer within {seconds} s")
        time.sleep(0.1)


@contextlib.contextmanager
def serve(database: str, **more: str) -> Iterator[App]:
    """Granian on a free port of loopback."""
    port = free_port()
    base_url = f"http://127.0.0.1:{port}"
    command = [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "1", "--blocking-threads", "4", "--no-ws", "--log-level", "warning",
        "backend.config.wsgi:application",
    ]  # fmt: skip
    with process(*command, env=environment(database, BASE_URL=base_url, **more)) as child:
        wait_until(f"{base_url}/healthz")
        yield App(base_url, child.pid)


@dataclass
class Stack:
    """Web, worker, beat and the mailbox, together as in earnest."""

    base_url: str
    mail: Maildir
    logs: Path
    redis_url: str = ""

    def mails_to(self, address: str) -> list[Mail]:
        """What arrived for the address, newest first."""
        found = (self.mail.read(key) for key in self.mail.keys())  # noqa: SIM118 - a mail folder, no dict
        return [mail for mail in found if mail is not None and address in mail.to]

    def wait_for(self, condition: Callable[[], T | None], *, seconds: float = 20) -> T:
        """Waits until the condition gives something; otherwise fails with the end of the logs."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.2)
        told = "\n".join(f"== {log.name}\n{log.read_text()[-3000:]}" for log in sorted(self.logs.glob("*.log")))
        raise AssertionError(f"nothing within {seconds} s\n{told}")


@contextlib.contextmanager
def run_stack(database: str, folder: Path, **more: str) -> Iterator[Stack]:
    """All parts on this database, each with a log file in `folder`; the broker's numbered database is theirs alone."""
    port, smtp = free_port(), free_port()
    base_url = f"http://127.0.0.1:{port}"
    broker = settings.REDIS_URL.rpartition("/")[0] + f"/{8 + worker() % 8}"
    with Redis.from_url(broker) as redis:
        redis.flushdb()
    variables = environment(
        database,
        BASE_URL=base_url,
        PORT=str(port),
        WEB_WORKERS="1",
        WORKER_PROCESSES="1",
        REDIS_URL=broker,
        EMAIL_URL=f"smtp://127.0.0.1:{smtp}",
        LOCAL_DIR=str(folder),
        **more,
    )
    with contextlib.ExitStack() as running:
        for part in ("mailbox", "web", "worker", "urgent", "beat"):
            command = [sys.executable, "-m", "backend.config.parts", part]
            running.enter_context(process(*command, env=variables, log=folder / f"{part}.log"))
        wait_until(f"{base_url}/readyz", seconds=60, ready=lambda answer: answer.json()["status"] == "ok")
        yield Stack(base_url, Maildir(folder / "mail"), folder, broker)
