"""Where a patient's days begin and end, and which days a request asks for. Pure: no database, no clock, no Django.

A person travels, so a zone is a history: `(time zone, since_at)` in the order of time, the first one valid from ever.
Day D starts at the first instant at which the person's own calendar shows D or a later date. At home that is local
midnight; where a clock change skips midnight it is the change; who flies east over midnight starts the day on
arrival; who flies west over it stays in the day already begun. Local time is computed here and never in the
database, whose zone data and rules for overlaps differ from Python's (GOALS.md, traps).
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple

from backend.common import clock

DEFAULT_DAYS = 90
MAX_DAYS = 1_830
# Wide enough for every record there can be, and far enough from year 1 and 9999 that no arithmetic overflows.
EARLIEST = date(1900, 1, 1)
LATEST = date(2200, 1, 1)

# (IANA name, since_at), oldest first, never empty.
ZoneHistory = Sequence[tuple[str, datetime]]


class Span(NamedTuple):
    """Whole days, `since` included, `until` not."""

    since: date
    until: date


class BadSpan(ValueError):
    """The days asked for make no range. `field` names the parameter, `code` and `detail` say what is wrong."""

    def __init__(self, *, field: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.field, self.code, self.detail = field, code, detail


def day_starts(*, zones: ZoneHistory, since: date, until: date) -> list[datetime]:
    """The instants at which the days from `since` to before `until` start, and the one at which the last ends.

    `(until - since).days + 1` instants in UTC, never decreasing; a date that the calendar skipped (Apia,
    30 December 2011) has no length. Raises ValueError without a zone or when `until` is before `since`.
    """
    if not zones:
        raise ValueError("a person has at least one time zone")
    if until < since:
        raise ValueError("until is before since")
    return list(_day_starts(tuple(zones), since, until))


@lru_cache(maxsize=128)
def _day_starts(zones: tuple[tuple[str, datetime], ...], since: date, until: date) -> tuple[datetime, ...]:
    return tuple(_start_of(since + timedelta(days=n), zones) for n in range((until - since).days + 1))


def _start_of(day: date, zones: ZoneHistory) -> datetime:
    for position, (name, since_at) in enumerate(zones):
        opens = _first_instant(day, name)
        if position and opens < since_at:
            opens = since_at.astimezone(UTC)
        if position + 1 == len(zones) or opens < zones[position + 1][1]:
            return opens
    raise AssertionError("the last zone has no end")


@lru_cache(maxsize=16_384)
def _first_instant(day: date, zone_name: str) -> datetime:
    """The first instant at which clocks in the zone show `day` or a later date."""
    zone = clock.zone(zone_name)
    midnight = datetime.combine(day, time(), zone)
    instant = midnight.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return instant
    # Midnight does not exist: the change jumped over it. Find the change, to the second.
    before, after = instant - timedelta(days=1), instant
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).date() >= day:
            after = middle
        else:
            before = middle
    return after


def zone_at(*, zones: ZoneHistory, at: datetime) -> str:
    """The IANA name of the zone in force at an instant."""
    return next((name for name, since_at in reversed(zones[1:]) if since_at <= at), zones[0][0])


def day_of(*, zones: ZoneHistory, at: datetime) -> date:
    """The person's day that holds an instant, by the same boundaries as `day_starts`."""
    day = at.astimezone(clock.zone(zone_at(zones=zones, at=at))).date()
    while _start_of(day + timedelta(days=1), zones) <= at:
        day += timedelta(days=1)
    return day


def span_of(*, today: date, days: int | None = None, since: date | None = None, until: date | None = None) -> Span:
    """The range that a request asks for: by default the 90 days that end with today.

    `days` counts back from `until`, or on from `since` when that is given. Raises BadSpan.
    """
    for field, value in (("since", since), ("until", until)):
        if value is not None and not EARLIEST <= value <= LATEST:
            raise BadSpan(field=field, code="out_of_range", detail=f"Give a date from {EARLIEST} to {LATEST}.")
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise BadSpan(field="days", code="out_of_range", detail=f"Give a number of days from 1 to {MAX_DAYS}.")
    if days is not None and since is not None and until is not None:
        raise BadSpan(field="days", code="too_many", detail="Give two of days, since and until, not all three.")
    if since is not None and until is None:
        until = since + timedelta(days=days) if days is not None else max(today, since) + timedelta(days=1)
    elif until is None:
        until = today + timedelta(days=1)
    if since is None:
        since = until - timedelta(days=days if days is not None else DEFAULT_DAYS)
    if until <= since:
        raise BadSpan(field="until", code="not_after_since", detail="until must be later than since.")
    if (until - since).days > MAX_DAYS:
        raise BadSpan(field="since", code="too_long", detail=f"Ask for at most {MAX_DAYS} days at once.")
    return Span(since, until)
