"""The parts of the program as it runs: web, two kinds of worker, beat, the demo's mailbox, jobs (`migrate`, `check`).

`python -m backend.config.parts web` runs one of them in the foreground; compose does so. `make run` forks them from
one process that has loaded the program once.
"""

import atexit
import gc
import importlib
import os
import secrets
import shutil
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence

from backend.accounts import masters
from backend.config import logs
from backend.config import processes as forks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")
FOR_FORKS = (
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.concurrency.prefork",
    "celery.worker.consumer",
    "django_celery_beat.schedulers",
    "granian.server.mp",
    "kombu.transport.redis",
)


def load() -> None:
    """Import all that the parts share and open nothing: no connection, no thread, so that a fork is safe."""
    import django
    from django.urls import get_resolver

    count_together()
    django.setup()
    import backend.config.celery
    import backend.config.wsgi

    backend.config.celery.app.loader.import_default_modules()
    list(get_resolver().reverse_dict)
    # What is loaded stays: looking through all of it for garbage again and again was a quarter of a worker's time. And
    # a batch makes ten thousand things that all go by themselves: to look at each seven hundred was a tenth of it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


def count_together() -> None:
    """Makes the folder in which this process and those that it forks count, before anything is counted."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        return
    folder, owner = tempfile.mkdtemp(prefix="afterglow-metrics-"), os.getpid()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)


def load_for_forks() -> None:
    """As `load`, and what each part would import by itself: the forks of `make run` start with all of it."""
    load()
    for name in FOR_FORKS:
        importlib.import_module(name)


def web() -> None:
    """The HTTP server: granian, WEB_WORKERS processes of WEB_THREADS threads, on WEB_HOST and PORT."""
    load()  # before granian forks its workers, which then share the program's memory
    forks.forks_end_with_this()
    from granian import Granian
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
    """The Celery worker, of WORKER_PROCESSES processes."""
    _work("worker", processes=int(os.environ.get("WORKER_PROCESSES", "2")))


def urgent() -> None:
    """The worker that is reserved for what is about safety: one process that takes nothing else."""
    _work("urgent", processes=1, queues=["safety"])


def _work(part: str, *, processes: int, queues: Sequence[str] | None = None) -> None:
    """A Celery worker. It asks no other worker anything at its start (no mingle, no gossip), so it is up at once."""
    from celery.exceptions import SecurityWarning
    from celery.signals import worker_ready

    from backend.config import opening
    from backend.config.celery import app

    opening.wait_until_open()

    warnings.simplefilter("ignore", SecurityWarning)  # `make run` as root is told so by its own documentation
    worker_ready.connect(lambda **_: first_heartbeat(part), weak=False)
    forks.forks_end_with_this()
    celery = app.Worker(
        pool_cls="prefork",
        concurrency=processes,
        hostname=f"{part}@{socket.gethostname()}",
        queues=queues,
        loglevel="WARNING",
        quiet=True,
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
    )
    celery.start()
    sys.exit(celery.exitcode)


def beat() -> None:
    """Celery beat with the database's schedule, and the sweep that needs no broker in the same process."""
    from celery.signals import beat_init

    from backend.config import opening
    from backend.config.celery import app

    opening.wait_until_open()

    beat_init.connect(lambda **_: first_heartbeat("beat"), weak=False)
    app.Beat(loglevel="WARNING", quiet=True).run()


def first_heartbeat(part: str) -> None:
    """Say at once that the part is up; its own thread goes on from there."""
    from django.db import connections

    from backend.common import clock
    from backend.reminders import watch

    watch.beat(part=part, now=clock.now())
    connections["dispatch"].close()


def mailbox() -> None:
    """The demo's own mail server, which stores what it gets for the page /demo/mail."""
    from backend.demo import mailbox

    sys.exit(mailbox.main())


def migrate() -> None:
    """One job before a new version serves: the roles (where DATABASE_ADMIN_URL is given), migrations, rights."""
    from backend.config import roles

    if roles.setting("DATABASE_ADMIN_URL") and (code := roles.main([])):
        sys.exit(code)
    load()
    from backend.config import setup

    setup.prepare(demo=False)


def check() -> None:
    """What can be said without a server: the settings are safe, every part can be loaded. Exits 1 with the reasons.

    What the environment does not give is made up, so that a bare image can be checked too.
    """
    nowhere = "postgresql://nobody:nothing@127.0.0.1:1/nowhere"
    stand_ins = dict.fromkeys(("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_DISPATCH_URL"), nowhere)
    stand_ins |= {"SECRET_KEY": secrets.token_urlsafe(48), "BASE_URL": "https://aftercare.invalid"}
    stand_ins |= {"ALLOWED_HOSTS": "aftercare.invalid"}
    for key, value in stand_ins.items():
        if f"{key}_FILE" not in os.environ:
            os.environ.setdefault(key, value)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(masters.drawn("check"))
        file.flush()
        os.environ.setdefault("NOTE_KEYS_FILE", file.name)
        load()
    from django.core.management import call_command

    call_command("check", deploy=True, fail_level="WARNING")
    print(f"checked: Python {sys.version.split()[0]}, uid {os.getuid()}, parts {', '.join(PARTS)}")


PARTS: dict[str, Callable[[], None]] = {
    "web": web,
    "worker": worker,
    "urgent": urgent,
    "beat": beat,
    "mailbox": mailbox,
    "migrate": migrate,
    "check": check,
}


def run(name: str) -> None:
    """Run one part in this process; should it end by an error, no message that quotes a person is printed."""
    logs.quiet_hooks()
    PARTS[name]()


def main(arguments: list[str]) -> int:
    """Run the part that is named; answers the exit code."""
    if len(arguments) != 1 or arguments[0] not in PARTS:
        print(f"usage: python -m backend.config.parts {'|'.join(PARTS)}", file=sys.stderr)
        return 2
    run(arguments[0])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
