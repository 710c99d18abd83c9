"""Words for what the tests of the engine do again and again."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.accounts import access
from backend.accounts.models import Person
from backend.reminders import planning
from backend.reminders.models import Delivery, Purpose, Reminder, Rule

NOON = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)  # 12:00 in Mumbai
EVENING = datetime(2026, 11, 24, 21)  # noqa: DTZ001  (wall time)
DUE = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)  # 21:00 in Mumbai


def door(person: Person) -> Any:
    """The person's own context."""
    return access.acting_as(person.id, None, "test")


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
