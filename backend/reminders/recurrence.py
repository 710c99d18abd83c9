"""Expands recurrence rules into instants. Pure: no Django, no clock, no database.

Every occurrence is counted from the anchor `start` in wall time and only then turned into an instant, so nothing drifts
across clock changes or short months. `start` bounds and anchors the series; it is an occurrence only where the rule
names it. Where a skipped local time moves onto another occurrence the two are one.
"""

from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from heapq import heappop, heappush, merge
from typing import TypeVar
from zoneinfo import ZoneInfo

from backend.reminders.rrule import YEARS, Rule, RuleError, parse
from backend.reminders.walltime import before, instant, wall

__all__ = ["Rule", "RuleError", "before", "between", "instant", "next_after", "occurrences", "parse"]

_Item = TypeVar("_Item", datetime, timedelta)
_DAY = timedelta(days=1)
# A year before the calendar's end, so that zones, quiet hours and windows can be added to any occurrence.
_LATEST = datetime(9998, 12, 31, 23, 59, 59)  # noqa: DTZ001  (wall time)
# The largest jump of any zone's offset is 24 hours (Apia and Kwajalein left out a day).
_LARGEST_JUMP = timedelta(hours=25)
# The calendar repeats after 400 years: so many empty periods in a row mean that none will ever match.
_NEVER = {"DAILY": 146_097, "WEEKLY": 2, "MONTHLY": 4_800}


def next_after(rule: Rule, *, start: datetime, zone: ZoneInfo, after: datetime) -> datetime | None:
    """The first occurrence strictly after the instant `after`, or None when the series has ended."""
    return next(occurrences(rule, start=start, zone=zone, after=after), None)


def between(rule: Rule, *, start: datetime, zone: ZoneInfo, since: datetime, until: datetime) -> list[datetime]:
    """All occurrences in the half-open span from `since` to `until`."""
    found = []
    for at in occurrences(rule, start=start, zone=zone, after=since - timedelta(microseconds=1)):
        if at >= until:
            break
        found.append(at)
    return found


def occurrences(rule: Rule, *, start: datetime, zone: ZoneInfo, after: datetime | None = None) -> Iterator[datetime]:
    """UTC instants of the series, ascending, none twice, strictly after `after`; from the beginning without it.

    `start` is naive wall time in `zone`, in whole seconds. Raises `RuleError` when it cannot anchor a series.
    """
    if start.tzinfo is not None or start.microsecond or start.year not in YEARS:
        raise RuleError(
            f"start must be local time without offset, in whole seconds, between {YEARS.start} and {YEARS.stop}."
        )
    return _occurrences(rule, start, zone, after)


def _occurrences(rule: Rule, start: datetime, zone: ZoneInfo, after: datetime | None) -> Iterator[datetime]:
    reach = None
    if after is not None and after.year > YEARS.start:
        reach = _LATEST if after.year > _LATEST.year else wall(after, zone) - _LARGEST_JUMP
    until = rule.until.astimezone(UTC) if rule.until is not None and rule.until.tzinfo else None
    series = _instants(_walls(rule, start, reach), zone, until)
    if not rule.extra_at and not rule.except_at:
        yield from series if after is None else (at for at in series if at > after)
        return
    first_at = instant(start, zone)
    extra = sorted(at for at in _resolved(rule.extra_at, zone) if at >= first_at)
    left_out = set(_resolved(rule.except_at, zone))
    last = after
    for at in merge(series, extra):
        if at not in left_out and (last is None or at > last):
            last = at
            yield at


def _resolved(moments: tuple[datetime, ...], zone: ZoneInfo) -> Iterator[datetime]:
    return (instant(moment, zone) if moment.tzinfo is None else moment for moment in moments)


def _instants(walls: Iterator[datetime], zone: ZoneInfo, until: datetime | None) -> Iterator[datetime]:
    """Turns ascending wall times into ascending instants, each once, up to and including `until`.

    Only a wall time inside a gap can land after later ones; such instants wait until the series has caught up.
    """
    waiting: list[datetime] = []
    last = None
    offset_of: Callable[[datetime], timedelta] = zone.utcoffset  # type: ignore[assignment]  # a zone always has one
    for local in walls:
        aware = local.replace(tzinfo=zone)
        offset = offset_of(aware)
        try:
            at = (local - offset).replace(tzinfo=UTC)
        except OverflowError:
            break
        in_gap = offset < offset_of(aware.replace(fold=1))
        if until is not None and at > until:
            if in_gap:
                continue
            break
        if in_gap or waiting:
            heappush(waiting, at)
            while waiting and not in_gap and waiting[0] <= at:
                moved = heappop(waiting)
                if moved != last:
                    last = moved
                    yield moved
        else:
            last = at
            yield at
    while waiting:
        moved = heappop(waiting)
        if moved != last:
            last = moved
            yield moved


def _walls(rule: Rule, start: datetime, reach: datetime | None) -> Iterator[datetime]:
    """Wall times of the series, ascending, from `start` on and, as far as counting allows, not before `reach`."""
    last = rule.until if rule.until is not None and rule.until.tzinfo is None else _LATEST
    pattern = _pattern(rule, start)
    try:
        yield from _evenly(rule, start, pattern, reach, last) if pattern else _by_period(rule, start, reach, last)
    except OverflowError:  # past the year 9999
        return


def _pattern(rule: Rule, start: datetime) -> tuple[datetime, timedelta, list[timedelta]] | None:
    """Origin, period and offsets in it of a rule that is the same in every period; None for a rule that is not."""
    if rule.freq == "MONTHLY" or rule.by_month_day or (rule.freq == "WEEKLY" and rule.by_set_pos):
        return None
    midnight = datetime.combine(start.date(), time())
    times = _times_of_day(rule, start)
    if rule.freq == "DAILY" and not rule.by_day:
        return midnight, rule.interval * _DAY, _chosen(times, rule.by_set_pos)
    if rule.freq == "DAILY" and (rule.interval > 1 or rule.by_set_pos):
        return None
    days = sorted({weekday for _, weekday in rule.by_day} or {start.weekday()})
    offsets = [day * _DAY + clock for day in days for clock in times]
    return midnight - start.weekday() * _DAY, 7 * rule.interval * _DAY, offsets


def _evenly(
    rule: Rule,
    start: datetime,
    pattern: tuple[datetime, timedelta, list[timedelta]],
    reach: datetime | None,
    last: datetime,
) -> Iterator[datetime]:
    """The fast path: the n-th occurrence is arithmetic, so it begins at `reach` without walking there."""
    origin, period, offsets = pattern
    if not offsets:
        return
    skipped = sum(origin + offset < start for offset in offsets)
    periods = max(0, (reach - origin) // period) if reach is not None else 0
    floor = max(start, reach) if reach is not None else start
    left = None if rule.count is None else rule.count + skipped - periods * len(offsets)
    base = origin + periods * period
    while True:
        for place, offset in enumerate(offsets):
            local = base + offset
            if local > last or (left is not None and place >= left):
                return
            if local >= floor:
                yield local
        base += period
        left = None if left is None else left - len(offsets)


def _by_period(rule: Rule, start: datetime, reach: datetime | None, last: datetime) -> Iterator[datetime]:
    """The general path: months, places in a week, days chosen by date. A rule with COUNT is counted from its start."""
    times = _times_of_day(rule, start)
    days_of = {"DAILY": _one_day, "WEEKLY": _week_days, "MONTHLY": _month_days}[rule.freq]
    period = 0 if reach is None or rule.count is not None else max(0, _elapsed(rule, start, reach) // rule.interval)
    floor = max(start, reach) if reach is not None else start
    counted = empty = 0
    while empty < _NEVER[rule.freq]:
        days = days_of(rule, start, period)
        walls = _chosen([day + clock for day in days for clock in times], rule.by_set_pos) if days else []
        empty = 0 if walls else empty + 1
        period += 1
        for local in walls:
            if local < start:
                continue
            counted += 1
            if local > last or (rule.count is not None and counted > rule.count):
                return
            if local >= floor:
                yield local


def _elapsed(rule: Rule, start: datetime, reach: datetime) -> int:
    """Days, weeks or months of the calendar from the one that holds start to the one that holds reach."""
    if rule.freq == "MONTHLY":
        return (reach.year - start.year) * 12 + reach.month - start.month
    days = (reach.date() - start.date()).days
    return (days + start.weekday()) // 7 if rule.freq == "WEEKLY" else days


def _one_day(rule: Rule, start: datetime, period: int) -> list[datetime]:
    day = datetime.combine(start.date(), time()) + period * rule.interval * _DAY
    if rule.by_day and (0, day.weekday()) not in rule.by_day:
        return []
    from_end = day.day - monthrange(day.year, day.month)[1] - 1
    return [day] if not rule.by_month_day or day.day in rule.by_month_day or from_end in rule.by_month_day else []


def _week_days(rule: Rule, start: datetime, period: int) -> list[datetime]:
    """Days of a week, of the first only those from start on, as the common libraries read BYSETPOS in it."""
    monday = datetime.combine(start.date(), time()) + (7 * period * rule.interval - start.weekday()) * _DAY
    days = sorted({weekday for _, weekday in rule.by_day} or {start.weekday()})
    return [monday + day * _DAY for day in days if period or day >= start.weekday()]


def _month_days(rule: Rule, start: datetime, period: int) -> list[datetime]:
    year, month = divmod(start.year * 12 + start.month - 1 + period * rule.interval, 12)
    if year > date.max.year:
        raise OverflowError
    weekday_of_first, length = monthrange(year, month + 1)

    def named(day: int) -> bool:
        weekday = (weekday_of_first + day - 1) % 7
        ordinals = (0, (day - 1) // 7 + 1, -((length - day) // 7 + 1))
        return any((ordinal, weekday) in rule.by_day for ordinal in ordinals)

    if rule.by_month_day:
        days = {day if day > 0 else length + 1 + day for day in rule.by_month_day}
    else:
        days = set(range(1, length + 1)) if rule.by_day else {start.day}
    return [
        datetime(year, month + 1, day)  # noqa: DTZ001  (wall time)
        for day in sorted(days)
        if 1 <= day <= length and (not rule.by_day or named(day))
    ]


def _times_of_day(rule: Rule, start: datetime) -> list[timedelta]:
    return [
        timedelta(hours=hour, minutes=minute, seconds=start.second)
        for hour in rule.by_hour or (start.hour,)
        for minute in rule.by_minute or (start.minute,)
    ]


def _chosen(items: list[_Item], places: tuple[int, ...]) -> list[_Item]:
    """BYSETPOS: of the ascending items of one period those at the given places, 1 the first and -1 the last."""
    if not places:
        return items
    size = len(items)
    wanted = {place - 1 if place > 0 else size + place for place in places}
    return [item for index, item in enumerate(items) if index in wanted]
