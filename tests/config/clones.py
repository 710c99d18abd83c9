"""A clone's state of its own for a test: folders, servers and commands that know nothing of the developer's demo."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from backend.config import keeper

ROOT = Path(__file__).resolve().parents[2]
OWN = ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_DISPATCH_URL", "REDIS_URL", "EMAIL_URL", "BASE_URL", "PORT")
NOT_OURS = ("SECRET_KEY", "NOTE_KEYS_FILE", "DEMO", "RATE_LIMITS")


USED: set[Path] = set()  # removed after each test: as root a clone's servers may live outside its folder


def environment(local: Path, **more: str) -> dict[str, str]:
    """This process's environment without the addresses of its servers, pointed at another `.local/`."""
    USED.add(local)
    kept = {key: value for key, value in os.environ.items() if key not in (*OWN, *NOT_OURS)}
    return {**kept, "LOCAL_DIR": str(local), **more}


def stack(local: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run one command of the launcher to its end."""
    return subprocess.run(
        [sys.executable, "-m", "backend.config.stack", *arguments],
        cwd=ROOT,
        env=environment(local, **more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextlib.contextmanager
def servers(local: Path) -> Iterator[subprocess.Popen[str]]:
    """The embedded servers, up while the block lasts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "backend.config.stack", "servers"],
        cwd=ROOT,
        env=environment(local),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    with process, process.stdout:
        try:
            line = process.stdout.readline()
            assert line.startswith("servers are up"), line
            yield process
        finally:
            process.terminate()
            process.wait(timeout=20)
    eventually(lambda: not keeper.alive(local), "the servers did not stop")


def eventually(holds: Callable[[], bool], otherwise: str | Callable[[], str], *, seconds: float = 15.0) -> None:
    """Wait until it holds; fail with these words when it does not in time."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, otherwise() if callable(otherwise) else otherwise
        time.sleep(0.05)


def settings(local: Path) -> dict[str, str]:
    """The keys of that clone's `.local/env`."""
    lines = (local / "env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def kill_all(local: Path) -> None:
    """kill -9 for every process of that clone, at once."""
    for line in processes_of(local):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.split()[0]), signal.SIGKILL)


def processes_of(local: Path) -> list[str]:
    """The command lines of the living processes that belong to that clone: by argument, or by what they were given."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            given = (folder / "environ").read_bytes().decode(errors="replace")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            if (
                state != "Z"
                and int(folder.name) != os.getpid()
                and (str(local) in words or f"LOCAL_DIR={local}" in given)
            ):
                found.append(f"{folder.name} {words}")
    return found
