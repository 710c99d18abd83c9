"""Real servers for tests: the API by granian, and worker and beat of Celery, on a test's own database."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import requests
from django.conf import settings

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class App:
    """A running API server."""

    base_url: str


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(database: str, **more: str) -> dict[str, str]:
    """The environment of a server process that works on this database."""
    urls = {}
    for key in ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_DISPATCH_URL"):
        parts = urlsplit(settings.env.str(key))
        urls[key] = urlunsplit(parts._replace(path=f"/{database}"))
    return {
        **os.environ,
        **urls,
        "SECRET_KEY": settings.SECRET_KEY,
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


def wait_until(url: str, *, seconds: float = 30) -> None:
    """Waits until the address answers 200."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(url, timeout=5).status_code == 200:
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
    with process(*command, env=environment(database, BASE_URL=base_url, **more)):
        wait_until(f"{base_url}/healthz")
        yield App(base_url)
