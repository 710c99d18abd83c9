"""What becomes of a reminder that is claimed: it goes out, waits or is skipped, and why. Pure: no database, no clock.

`safety` goes out whatever else is said here, as long as its window is open. All numbers are ours, except three silent
days and one nudge (DOMAIN.md, 'Adherence').
"""

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from types import SimpleNamespace
from typing import NamedTuple, Protocol, cast

from backend.reminders import channels, schedule, walltime
from backend.reminders.models import Purpose, Reason, Reminder, ReminderClass, Rule, Status

DAILY_CAP = 4
# Three days, less what two clock changes may take away.
SILENT_AFTER = timedelta(hours=72 - 2)
# So late an announcement that falls into quiet hours waits for their end; one that was made just now goes at once.
_LATE = timedelta(minutes=15)
# The check-in is never cut; the others in the order of their importance.
_IMPORTANCE = {Purpose.CHECK_IN: 0, Purpose.TARGET: 1, Purpose.OWN: 2}
_CAPPED = (Purpose.TARGET, Purpose.OWN)
# Of these a silence is counted and told.
NAGGING = (Purpose.CHECK_IN,)


class Claimed(schedule.Timed, Protocol):
    """What is read of a due reminder and its rule."""

    @property
    def id(self) -> uuid.UUID: ...
    @property
    def status(self) -> str: ...
    @property
    def due_at(self) -> datetime: ...
    @property
    def send_at(self) -> datetime: ...
    @property
    def expires_at(self) -> datetime: ...
    @property
    def person_id(self) -> uuid.UUID: ...
    @property
    def clinic_id(self) -> uuid.UUID | None: ...
    @property
    def reminder_class(self) -> str: ...
    @property
    def channels(self) -> list[str]: ...
    @property
    def daily_cap(self) -> int | None: ...
    @property
    def nudge_minutes(self) -> int | None: ...
    @property
    def muted_at(self) -> datetime | None: ...
    @property
    def paused_from_at(self) -> datetime | None: ...
    @property
    def paused_until_at(self) -> datetime | None: ...
    @property
    def unanswered_since_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """The status that the reminder gets, and its reason. With `send_at` it is put off and stays what it was.

    `unanswered_since_at` is what the next reminder of the series is told.
    """

    status: str
    reason: str = ""
    send_at: datetime | None = None
    expires_at: datetime | None = None
    nudge_at: datetime | None = None
    unanswered_since_at: datetime | None = None

    @property
    def goes_out(self) -> bool:
        """Whether it is told now."""
        return self.status in (Status.DUE, Status.SENT)

    @property
    def put_off(self) -> bool:
        """Whether it will be claimed again, so that nothing follows it yet."""
        return self.send_at is not None


class Day(NamedTuple):
    """A person's local day as a half-open pair of instants, for one purpose."""

    person_id: uuid.UUID
    purpose: str
    from_at: datetime
    until_at: datetime


class Tally:
    """How many habit reminders count against a person's cap on a day.

    `told` says so before a batch: those that were told that day, and those of more important purposes that are planned
    for later; the batch's own of the same purpose are added as they go out.
    """

    def __init__(self, told: Mapping[Day, int]) -> None:
        self._told = Counter(told)

    def has_room(self, row: Claimed, now: datetime) -> bool:
        """Whether one more may go out; takes the place if so."""
        day = day_of(row, now)
        if self._told[day] >= (row.daily_cap or DAILY_CAP):
            return False
        self._told[day] += 1
        return True


def is_capped(row: Claimed) -> bool:
    """Whether the day's number may cut it: one that the person put off is theirs, and was counted already."""
    return row.purpose in _CAPPED and row.status == Status.PLANNED


def day_of(row: Claimed, now: datetime) -> Day:
    """The day that it is where the person lives."""
    zone = schedule.home(row)
    today = walltime.wall(now, zone).date()
    bounds = (walltime.instant(datetime.combine(day, time()), zone) for day in (today, today + timedelta(days=1)))
    return Day(row.person_id, row.purpose, *bounds)


def importance(row: Claimed) -> tuple[int, datetime]:
    """The order in which a batch is judged, so that the cap takes the least important ones."""
    return _IMPORTANCE.get(Purpose(row.purpose), 0), row.due_at


def judge(row: Claimed, *, now: datetime, tally: Tally) -> Verdict:
    """What becomes of a claimed reminder."""
    since = row.unanswered_since_at
    if row.expires_at <= now:
        return Verdict(Status.EXPIRED, Reason.WINDOW_CLOSED, unanswered_since_at=since)
    outward = channels.first(row.channels)
    status = Status.DUE if outward else Status.SENT
    if row.reminder_class == ReminderClass.SAFETY:
        return Verdict(status)
    if row.muted_at is not None:
        return _skip(row, Reason.OPTED_OUT)
    held = _in_session(row, now) or _silent(row) or _quiet(row, now)
    if held is not None:
        return held
    if is_capped(row) and not tally.has_room(row, now):
        return _skip(row, Reason.DAILY_CAP)
    if row.status != Status.PLANNED:  # put off by the person, who has answered by that
        return Verdict(status)
    return Verdict(
        status,
        nudge_at=_nudge(row, now) if outward else None,
        unanswered_since_at=(since or row.due_at) if row.purpose in NAGGING else None,
    )


def foresee(reminder: Reminder, rule: Rule) -> Verdict:
    """What would become of a planned reminder at its hour, as things stand; the day's number aside."""
    names = (name for name in dir(Claimed) if not name.startswith("_") and hasattr(rule, name))
    told = {name: getattr(rule, name) for name in names}
    for name in ("id", "status", "due_at", "send_at", "expires_at", "reminder_class", "unanswered_since_at"):
        told[name] = getattr(reminder, name)
    row = cast(Claimed, SimpleNamespace(**told))
    return judge(row, now=row.send_at, tally=Tally({}))


def may_nudge(row: Claimed, at: datetime) -> bool:
    """Whether one more word makes sense at an instant: it is still time, not quiet, and wanted."""
    return (
        row.muted_at is None
        and at < row.expires_at
        and not _is_paused(row, at)
        and schedule.quiet_span(row, at) is None
    )


def _nudge(row: Claimed, now: datetime) -> datetime | None:
    if row.nudge_minutes is None:
        return None
    at = now + timedelta(minutes=row.nudge_minutes)
    return at if may_nudge(row, at) else None


def _skip(row: Claimed, reason: str) -> Verdict:
    return Verdict(Status.SKIPPED, reason, unanswered_since_at=row.unanswered_since_at)


def _wait(row: Claimed, until: datetime, *, expires_at: datetime | None = None) -> Verdict:
    return Verdict(row.status, send_at=until, expires_at=expires_at, unanswered_since_at=row.unanswered_since_at)


def _is_paused(row: Claimed, at: datetime) -> bool:
    if row.paused_from_at is None or row.paused_until_at is None:
        return False
    return row.paused_from_at <= at < row.paused_until_at


def _in_session(row: Claimed, now: datetime) -> Verdict | None:
    """A habit is skipped; care, and what the person put off, waits for the session's end while it still makes sense.

    An announcement makes sense until its event, so that of this very session does not outlive its beginning.
    """
    now_inside = _is_paused(row, now)
    if row.reminder_class == ReminderClass.HABIT and row.status == Status.PLANNED:
        return _skip(row, Reason.IN_SESSION) if now_inside or _is_paused(row, row.due_at) else None
    if not now_inside or row.paused_until_at is None:
        return None
    return _wait(row, row.paused_until_at) if row.paused_until_at < row.expires_at else _skip(row, Reason.IN_SESSION)


def _silent(row: Claimed) -> Verdict | None:
    """After three days without an answer the clinic is told instead; where there is none, reminders go on."""
    since = row.unanswered_since_at
    if row.purpose not in NAGGING or row.status != Status.PLANNED or row.clinic_id is None or since is None:
        return None
    return _skip(row, Reason.GONE_SILENT) if row.due_at - since >= SILENT_AFTER else None


def _quiet(row: Claimed, now: datetime) -> Verdict | None:
    """The plan keeps out of quiet hours; this is for what comes late, and for hours that were changed since."""
    span = schedule.quiet_span(row, now)
    if span is None:
        return None
    facts, end = Purpose(row.purpose).facts, span[1]
    if facts.announces:
        waits = row.status == Status.SNOOZED or now - row.send_at >= _LATE
        return _wait(row, end) if waits and end < row.expires_at else None
    if row.reminder_class == ReminderClass.CARE:
        return _wait(row, end, expires_at=max(row.expires_at, end + schedule.window(row)))
    sense_until = row.due_at + schedule.window(row) if row.status == Status.PLANNED else row.expires_at
    return _wait(row, end) if end < sense_until else _skip(row, Reason.QUIET_HOURS)
