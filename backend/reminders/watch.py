"""The watch over the machinery: heartbeats, the sweep that needs no broker, and what `/readyz` tells."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from django.db import DatabaseError, connections

from backend.accounts import access
from backend.common import clock
from backend.reminders import dispatch

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0
REPORT_SECONDS = 2.0
# A part that said nothing for so long is not well; a sweep may wait ten seconds for a mail server that hangs.
_SILENCE = {
    "worker": timedelta(seconds=10),
    "urgent": timedelta(seconds=10),
    "beat": timedelta(seconds=30),
    "tick": timedelta(seconds=15),
}
PARTS = tuple(_SILENCE)
# The auditor speaks each half minute, and only when all is well.
_AUDITOR_SILENCE = timedelta(seconds=90)

_BEAT = """
INSERT INTO reminders_heartbeat (name, part, beat_at) VALUES (%s, %s, %s)
ON CONFLICT (name) DO UPDATE SET beat_at = greatest(reminders_heartbeat.beat_at, excluded.beat_at)
"""

_BACKLOG = """
SELECT (SELECT count(*) FROM reminders_reminder WHERE claim_at <= %(now)s),
       (SELECT min(claim_at) FROM reminders_reminder WHERE claim_at <= %(now)s),
       (SELECT count(*) FROM reminders_delivery WHERE status = 'pending' AND try_at <= %(now)s),
       (SELECT min(try_at) FROM reminders_delivery WHERE status = 'pending' AND try_at <= %(now)s),
       (SELECT count(*) FROM reminders_delivery WHERE status = 'unknown')
"""


def beat(*, part: str, now: datetime) -> None:
    """Says that this part of the machinery lives, here, now."""
    with access.dispatching("heartbeat"), connections["dispatch"].cursor() as cursor:
        cursor.execute(_BEAT, [f"{part}@{socket.gethostname()}"[:120], part, now])


class Watch(threading.Thread):
    """A thread that does its round again and again, whatever happened in the last one."""

    def __init__(self, name: str, *, round_: Callable[[], object], pause: float, aligned: bool = False) -> None:
        """`pause` in seconds; with `aligned` each round begins with a whole second."""
        super().__init__(name=name, daemon=True)
        self._round, self._pause, self._over = round_, pause, threading.Event()
        self._aligned = aligned

    def run(self) -> None:
        """At once, and again until it is stopped; an error costs one round and the connections, which are made anew."""
        while not self._over.is_set():
            try:
                self._round()
            except BaseException as error:  # the watch must outlive all that it watches, and a thread has no Ctrl-C
                _tell(self.name, error)
                _close()
            self._over.wait(1.005 - clock.now().microsecond / 1e6 if self._aligned else self._pause)
        _close()

    def stop(self) -> None:
        """Waits for the present round and ends."""
        self._over.set()
        self.join()


def _tell(name: str, error: BaseException) -> None:
    with suppress(Exception):  # a log that cannot be written is no reason to end
        log.warning("a round of the watch failed, it goes on", watch=name, error=type(error).__name__)


def _close() -> None:
    for connection in connections.all(initialized_only=True):
        with suppress(Exception):  # it is broken anyhow; Django lets go of it all the same
            connection.close()


def start_sweeping() -> Watch:
    """Starts beat's own thread: each second it claims what is due and sends what no worker took.

    It works on its own connection, without the broker, and goes on after whatever the database does.
    """

    def round_() -> None:
        now = clock.now()
        beat(part="beat", now=now)
        dispatch.sweep(now=now)

    # What is due is due at a whole second.
    return _started(Watch("sweep", round_=round_, pause=SWEEP_SECONDS, aligned=True))


def start_reporting(part: str) -> Watch:
    """Starts a thread that says every two seconds that this process lives."""
    round_ = partial(_report, part)
    return _started(Watch(f"report {part}", round_=round_, pause=REPORT_SECONDS))


def _report(part: str) -> None:
    beat(part=part, now=clock.now())


def _started(watch: Watch) -> Watch:
    watch.start()
    return watch


def readiness(*, now: datetime) -> dict[str, Any]:
    """For `/readyz` and metrics: each part's last heartbeat (age in seconds, whether it is well), and what waits."""
    try:
        with access.dispatching("readiness"), connections["dispatch"].cursor() as cursor:
            cursor.execute("SELECT part, max(beat_at) FROM reminders_heartbeat GROUP BY part")
            beats = dict(cursor.fetchall())
            cursor.execute(_BACKLOG, {"now": now})
            due, oldest_due, pending, oldest_pending, in_doubt = cursor.fetchone()
    except DatabaseError as error:
        log.warning("readiness unknown", error=type(error).__name__)
        return {part: {"well": False, "age_seconds": None} for part in (*_SILENCE, "auditor")} | {"backlog": None}
    return {part: _told(beats.get(part), now, silence) for part, silence in _SILENCE.items()} | {
        "auditor": _told(beats.get("auditor"), now, _AUDITOR_SILENCE),
        "backlog": {
            "due": due,
            "oldest_due_seconds": _seconds(oldest_due, now),
            "pending": pending,
            "oldest_pending_seconds": _seconds(oldest_pending, now),
            "in_doubt": in_doubt,
        },
    }


def _told(at: datetime | None, now: datetime, silence: timedelta) -> dict[str, Any]:
    return {"well": at is not None and now - at <= silence, "age_seconds": _seconds(at, now)}


def _seconds(at: datetime | None, now: datetime) -> float | None:
    return round(max((now - at).total_seconds(), 0.0), 1) if at else None
