"""Counts what the engine does. Nobody's data: a number for each name and label, added up over all processes.

Counted in memory, written in one statement at the end of each round (`flush`); what could not be written is kept for
the next. A process that is killed takes one round's numbers with it: these are figures for an operator, not the ledger.
"""

import os
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

import structlog
from django.db import DatabaseError, connections

from backend.accounts import access

log = structlog.get_logger(__name__)

# Upper ends in seconds, the last one open; a reminder's aim is a second.
BUCKETS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
_ENDS = (*map(str, BUCKETS), "+Inf")
# Processes come and go; they share this many rows for each number, for whoever writes holds the row for a moment.
_PLACES = 16

_FLUSH = """
INSERT INTO reminders_tally (name, label, process, value)
SELECT * FROM unnest(%(names)s::text[], %(labels)s::text[], %(places)s::smallint[], %(values)s::bigint[])
ON CONFLICT (name, label, process) DO UPDATE SET value = reminders_tally.value + excluded.value
"""

_waiting: Counter[tuple[str, str]] = Counter()
_lock = threading.Lock()


class Row(Protocol):
    """What is read of a claimed row."""

    @property
    def reminder_class(self) -> str: ...
    @property
    def send_at(self) -> datetime: ...


class Judgement(Protocol):
    """What is read of the verdict about it."""

    @property
    def status(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def put_off(self) -> bool: ...


def add(name: str, label: str, count: int = 1) -> None:
    """So many more of this by class, channel or reason: `due`, `sent`, `skipped`, `expired`, `failed`, `retries`..."""
    if count:
        _add({(name, str(label)): count})


def judged(pairs: Iterable[tuple[Row, Judgement]], *, now: datetime) -> None:
    """What became of claimed rows; what has no way but the inbox is sent with its claim."""
    found: Counter[tuple[str, str]] = Counter()
    for row, verdict in pairs:
        if verdict.put_off:
            continue
        found["due", str(row.reminder_class)] += 1
        if verdict.status in {"skipped", "expired"}:
            found[str(verdict.status), str(verdict.reason)] += 1
        elif verdict.status == "sent":
            found["sent", "inbox"] += 1
            _late(found, row.reminder_class, row.send_at, now)
    _add(found)


def handed(results: Iterable[tuple[str, str]]) -> None:
    """Channel and fate of what was handed over."""
    _add(Counter((fate, channel) for channel, fate in results if fate in {"sent", "unknown"}))


def left(rows: Iterable[tuple[str, datetime | None, datetime | None]], *, now: datetime) -> None:
    """These were taken by a channel: class, hour of leaving, first sending. What is sent once more is not late."""
    found: Counter[tuple[str, str]] = Counter()
    for reminder_class, send_at, sent_at in rows:
        if send_at is not None and sent_at == now:
            _late(found, reminder_class, send_at, now)
    _add(found)


def _late(found: Counter[tuple[str, str]], reminder_class: str, send_at: datetime, now: datetime) -> None:
    seconds = max((now - send_at).total_seconds(), 0.0)
    found["lateness", f"{reminder_class} {_ENDS[bisect_left(BUCKETS, seconds)]}"] += 1
    found["lateness_ms", str(reminder_class)] += round(seconds * 1000)


def _add(found: Mapping[tuple[str, str], int]) -> None:
    with _lock:
        for key, count in found.items():
            _waiting[key] += count


def flush() -> None:
    """Writes what was counted since the last time. Never raises: a figure that cannot be written stops nothing."""
    with _lock:
        counted = dict(_waiting)
        _waiting.clear()
    if not counted:
        return
    # In one order everywhere, so that two who write the same rows wait for each other and never crosswise.
    rows = sorted((name, label, count) for (name, label), count in counted.items())
    values: dict[str, Any] = {
        "names": [name for name, _, _ in rows],
        "labels": [label for _, label, _ in rows],
        "places": [os.getpid() % _PLACES] * len(rows),
        "values": [count for _, _, count in rows],
    }
    try:
        with access.dispatching("tally"), connections["dispatch"].cursor() as cursor:
            cursor.execute(_FLUSH, values)
    except DatabaseError as error:
        _add(counted)
        log.warning("figures could not be written", error=type(error).__name__)


def totals() -> dict[tuple[str, str], int]:
    """Every number by name and label, over all processes, as it was last written."""
    with access.dispatching("readiness"), connections["dispatch"].cursor() as cursor:
        cursor.execute("SELECT name, label, sum(value)::bigint FROM reminders_tally GROUP BY name, label ORDER BY 1, 2")
        return {(name, label): value for name, label, value in cursor.fetchall()}
