"""The Celery application. The broker only wakes workers; what is due stands in the database."""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, setup_logging, task_failure, task_prerun, worker_ready
from django.db import close_old_connections, connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")

OUTBOX_SECONDS = 10.0
RIGHTS_SECONDS = 30.0
SEAL_SECONDS = 1.0
SILENCES_SECONDS = 30.0
AUDIT_SECONDS = 30.0
ZONES_SECONDS = 60.0
app = Celery("afterglow")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _log_as_django_does(**_: Any) -> None:
    """Celery leaves the log to Django's settings."""


@task_prerun.connect
def _drop_what_was_cut(**_: Any) -> None:
    """As before each request: a connection kept from the last task is asked whether it lives at its first use."""
    close_old_connections()


@task_failure.connect
def _begin_anew(**_: Any) -> None:
    """The next task begins with new connections: one to a server that has become a replica still answers."""
    connections.close_all()


@beat_init.connect
def _start_the_sweep(**_: Any) -> None:
    """Beat's own thread: it works while the broker is away, when beat's scheduler does not."""
    from backend.accounts import heads, outbox
    from backend.common import clock
    from backend.config import beat_entries
    from backend.interop import work
    from backend.reminders import auditor, silences, watch, zones

    watch.start_sweeping()  # first: nothing that fails below may keep it from starting
    # A thread of its own, for a mail server that hangs holds it for many seconds.
    watch.Watch("outbox", round_=lambda: outbox.send_due(now=clock.now()), pause=OUTBOX_SECONDS).start()
    watch.Watch("rights", round_=lambda: work.stand_in(now=clock.now()), pause=RIGHTS_SECONDS).start()
    watch.Watch("silences", round_=lambda: silences.tell(now=clock.now()), pause=SILENCES_SECONDS).start()
    sealer = heads.Sealer()
    watch.Watch("audit chain", round_=lambda: sealer.round(now=clock.now()), pause=SEAL_SECONDS).start()
    judge = auditor.Auditor(began_at=clock.now())
    watch.Watch("auditor", round_=lambda: judge.round(now=clock.now()), pause=AUDIT_SECONDS).start()
    watch.Watch("zone data", round_=lambda: zones.renew(now=clock.now()), pause=ZONES_SECONDS).start()
    beat_entries.settle()


@worker_ready.connect
def _report_the_worker(sender: Any, **_: Any) -> None:
    from backend.reminders import watch

    watch.start_reporting(sender.hostname.partition("@")[0])
