"""Words for what the tests of the engine do again and again."""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connections

from backend.accounts import access, counters
from backend.accounts.models import Person
from backend.reminders import planning
from backend.reminders.models import Delivery, Purpose, Reminder, Rule

NOON = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)  # 12:00 in Mumbai
EVENING = datetime(2026, 11, 24, 21)  # noqa: DTZ001  (wall time)
DUE = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)  # 21:00 in Mumbai


def door(person: Person) -> Any:
    """The person's own context."""
    return access.acting_as(person.id, None, "test")


def until(condition: Callable[[], Any], *, seconds: float = 15.0) -> None:
    """Waits until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def apart(work: Callable[[], Any]) -> Any:
    """What it answers, in a thread with connections of its own."""
    try:
        return work()
    finally:
        connections.close_all()


def at_once(person: Person, *requests: Callable[[], Any], before: Callable[[], Any] = lambda: None) -> list[Any]:
    """The answers to requests that all wait for the person's counter, in this order, while `before` is done."""

    with ThreadPoolExecutor() as pool:
        with door(person):
            counters.lock(patient_id=person.id)
            sent = []
            for request in requests:
                sent.append(pool.submit(apart, request))
                until(lambda: waiting() == len(sent))
            before()
        return [each.result() for each in sent]


def waiting() -> int:
    """How many wait for a lock."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE NOT granted AND datname = current_database()"
        )
        return int(cursor.fetchone()[0])


def check_in_rule(
    person: Person, *, now: datetime = NOON, start: datetime = EVENING, rrule: str = "FREQ=DAILY"
) -> Rule:
    """A daily check-in at nine in the evening."""
    with door(person):
        clinic = person.memberships.get().clinic_id
        return planning.set_rule(
            person=person, purpose=Purpose.CHECK_IN, rrule=rrule, start=start, clinic_id=clinic, now=now
        )[0]


def appointment(
    person: Person, at: datetime, *, now: datetime = NOON, about: Any = None, clinic: uuid.UUID | None = None
) -> Rule:
    """An appointment's reminders."""
    with door(person):
        return planning.set_anchor(
            person=person,
            purpose=Purpose.APPOINTMENT,
            about=about or ("occurrence", uuid.uuid4()),
            anchor_at=at,
            clinic_id=clinic,
            now=now,
        )


def ledger(person: Person, **filters: Any) -> list[Reminder]:
    """The person's reminders, earliest first."""
    with door(person):
        return list(Reminder.objects.filter(person=person, **filters).order_by("due_at"))


def deliveries(person: Person, **filters: Any) -> list[Delivery]:
    """The person's deliveries in the order of their making."""
    with door(person):
        return list(Delivery.objects.filter(person=person, **filters).order_by("created_at", "channel", "attempt"))


def statuses(person: Person) -> list[tuple[str, str]]:
    """Channel and status of each delivery."""
    return [(each.channel, each.status) for each in deliveries(person)]


def later(**delta: float) -> datetime:
    """So long after the check-in's hour."""
    return DUE + timedelta(**delta)
