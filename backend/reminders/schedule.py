"""When the reminders of a rule are due, when they go out, and until when they make sense. Knows no database."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import islice
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from backend.common import clock
from backend.reminders import recurrence, walltime
from backend.reminders.models import Purpose, ReminderClass

# So many occurrences are looked at before a series is said to lie in the quiet hours: two days at most a day's number.
_LOOKED_AT = 48


class Timed(Protocol):
    """What is read of a rule: a model, or the dispatcher's row with the same names."""

    @property
    def purpose(self) -> str: ...
    @property
    def rrule(self) -> str | None: ...
    @property
    def start_local(self) -> datetime | None: ...
    @property
    def anchor_at(self) -> datetime | None: ...
    @property
    def offsets(self) -> list[dict[str, Any]]: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def home_zone(self) -> str: ...
    @property
    def quiet_from(self) -> time | None: ...
    @property
    def quiet_until(self) -> time | None: ...
    @property
    def window_minutes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Slot:
    """One reminder to be: `missed` when its instant had passed before it was planned."""

    due_at: datetime
    send_at: datetime
    expires_at: datetime
    missed: bool = False


def next_slot(rule: Timed, *, after: datetime, served: Collection[datetime] = ()) -> Slot | None:
    """The first reminder of a series strictly after an instant, or None when it has ended.

    `served` holds wall times whose reminder already happened elsewhere: who flies west is not reminded twice that day.
    """
    if rule.rrule is None or rule.start_local is None:
        return None
    zone = clock.zone(rule.time_zone)
    parsed = recurrence.parse(rule.rrule)
    series = recurrence.occurrences(parsed, start=rule.start_local, zone=zone, after=after)
    for due_at in islice(series, len(served) + 1):
        if walltime.wall(due_at, zone) not in served:
            return place(rule, due_at=due_at)
    return None


def anchored(rule: Timed, *, now: datetime) -> list[Slot]:
    """The reminders around an anchor, ascending, each instant once."""
    if rule.anchor_at is None:
        return []
    zone = clock.zone(rule.time_zone)
    dues = {walltime.before(rule.anchor_at, zone=zone, **offset) for offset in rule.offsets}
    return [place(rule, due_at=due_at, now=now) for due_at in sorted(dues)]


def place(rule: Timed, *, due_at: datetime, now: datetime | None = None) -> Slot:
    """The hour at which it goes out: outside the quiet hours, unless it is about safety.

    An announcement leaves at the start of the quiet hours, the evening before; planned later than that, at once. Care
    waits for their end. A habit waits if it still makes sense then, else keeps its hour, and the claim will skip it.
    """
    facts = Purpose(rule.purpose).facts
    send_at = due_at
    span = quiet_span(rule, due_at) if facts.reminder_class != ReminderClass.SAFETY else None
    if span is not None and facts.announces:
        send_at = span[0]
    elif span is not None and (facts.reminder_class == ReminderClass.CARE or span[1] < due_at + window(rule)):
        send_at = span[1]
    if now is not None and send_at < now < due_at:
        send_at = now
    return Slot(due_at, send_at, expiry(rule, due_at=due_at, send_at=send_at), missed=now is not None and due_at <= now)


def expiry(rule: Timed, *, due_at: datetime, send_at: datetime) -> datetime:
    """From when on it makes no sense: an announcement from its event on, the others when their window closes."""
    if rule.anchor_at is not None and due_at < rule.anchor_at and Purpose(rule.purpose).facts.announces:
        return rule.anchor_at
    return max(send_at, due_at) + window(rule)


def window(rule: Timed) -> timedelta:
    """For how long after its time a reminder makes sense."""
    return timedelta(minutes=rule.window_minutes)


def home(rule: Timed) -> ZoneInfo:
    """The zone in which the person lives; a series may stay in another."""
    return clock.zone(rule.home_zone or rule.time_zone)


def quiet_span(rule: Timed, at: datetime) -> tuple[datetime, datetime] | None:
    """The person's quiet hours that contain `at`, as a half-open pair of instants, or None."""
    if rule.quiet_from is None or rule.quiet_until is None:
        return None
    return walltime.quiet_span(at, quiet_from=rule.quiet_from, quiet_until=rule.quiet_until, zone=home(rule))


def is_always_quiet(rule: Timed, *, after: datetime) -> bool:
    """Whether none of the coming reminders of a series could ever go out, because each lies in the quiet hours."""
    if rule.rrule is None or rule.start_local is None or rule.quiet_from is None:
        return False
    series = recurrence.occurrences(
        recurrence.parse(rule.rrule), start=rule.start_local, zone=clock.zone(rule.time_zone), after=after
    )
    coming = [place(rule, due_at=due_at) for due_at in islice(series, _LOOKED_AT)]
    return bool(coming) and all(quiet_span(rule, slot.send_at) for slot in coming)


def walls_of(dues: Iterable[datetime], *, time_zone: str) -> set[datetime]:
    """What the clocks in the zone showed at these instants."""
    zone = clock.zone(time_zone)
    return {walltime.wall(due_at, zone) for due_at in dues}
