"""The long-running parts of the program, each a function that runs until it is told to stop.

`python -m backend.config.parts web|worker|beat` runs one of them in the foreground; compose does so, and `make run`
forks them from one process that has loaded the program once.
"""

import os
import runpy
import sys
from collections.abc import Callable

from backend.config import processes

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")


def load() -> None:
    """Import all that the parts share and open nothing: no connection, no thread, so that a fork is safe."""
    import django
    from django.urls import get_resolver

    django.setup()
    import backend.config.celery
    import backend.config.wsgi

    backend.config.celery.app.loader.import_default_modules()
    list(get_resolver().reverse_dict)


def web() -> None:
    """The HTTP server: granian, WEB_WORKERS processes of WEB_THREADS threads, on WEB_HOST and PORT."""
    load()  # before granian forks its workers, which then share the program's memory
    processes.forks_end_with_this()
    from granian import Granian  # type: ignore[attr-defined]
    from granian.constants import Interfaces

    Granian(
        "backend.config.wsgi:application",
        address=os.environ.get("WEB_HOST", "127.0.0.1"),
        port=int(os.environ.get("PORT", "8000")),
        interface=Interfaces.WSGI,
        workers=int(os.environ.get("WEB_WORKERS", "2")),
        blocking_threads=int(os.environ.get("WEB_THREADS", "4")),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=5,
    ).serve()


def worker() -> None:
    """The Celery worker. It asks no other worker anything at its start (no mingle, no gossip), so it is up at once."""
    from backend.config.celery import app

    processes.forks_end_with_this()
    count = os.environ.get("WORKER_PROCESSES", "2")
    quiet = ["--without-mingle", "--without-gossip", "--without-heartbeat", "--loglevel", "WARNING"]
    app.worker_main(["worker", "--pool", "prefork", "--concurrency", count, *quiet])


def beat() -> None:
    """Celery beat with the database's schedule, and the sweep that needs no broker in the same process."""
    from backend.config.celery import app

    app.start(["beat", "--pidfile", "", "--loglevel", "WARNING"])


def mailbox() -> None:
    """The demo's own mail server, which stores what it gets for the page /demo/mail."""
    runpy.run_module("backend.demo.mailbox", run_name="__main__")


PARTS: dict[str, Callable[[], None]] = {"web": web, "worker": worker, "beat": beat, "mailbox": mailbox}


def main(arguments: list[str]) -> int:
    """Run the part that is named; answers the exit code."""
    part = PARTS.get(arguments[0] if len(arguments) == 1 else "")
    if part is None:
        print(f"usage: python -m backend.config.parts {'|'.join(PARTS)}", file=sys.stderr)
        return 2
    part()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
