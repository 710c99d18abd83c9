"""What will be sent in the next days: a dry run of the plan with the engine's own code. Writes nothing."""

import heapq
import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

from django.db.models import Q

from backend.accounts.models import Person
from backend.reminders import channels, schedule, verdicts
from backend.reminders.due_rows import DueRow
from backend.reminders.models import Channel, Purpose, Reason, Reminder, ReminderClass, Rule, Status
from backend.reminders.verdicts import Day, Tally, Verdict

DAYS = 14
MOST_DAYS = 28
_COMING = (Status.PLANNED, Status.DUE, Status.SNOOZED)
# What the claim reads of the reminder itself; the rest is its rule's.
_OF_ROW = ("id", "status", "due_at", "send_at", "expires_at", "unanswered_since_at", "reminder_class")
_OF_RULE = [name for name in DueRow._fields if name not in {*_OF_ROW, "channels_text", "place"}]


@dataclass(frozen=True, slots=True)
class Span:
    """From an instant on for so many times 24 hours, half-open."""

    since: datetime
    days: int

    @property
    def until(self) -> datetime:
        """Where it ends."""
        return self.since + timedelta(days=self.days)


@dataclass(frozen=True, slots=True)
class Expected:
    """One message to be: when it leaves, what it is due for, by which channels in which order, and what may stop it."""

    at: datetime
    due_at: datetime
    rule: Rule
    channels: tuple[str, ...]
    moved_by_quiet: bool
    would_skip: str | None


@dataclass(frozen=True, slots=True)
class _Coming:
    """A reminder that waits for its hour in the dry run."""

    row: DueRow
    rule: Rule
    moved_by_quiet: bool


def expected(*, patient: Person, clinic_id: uuid.UUID | None, span: Span) -> list[Expected]:
    """Ascending by the hour at which each leaves; `clinic_id` keeps what that clinic sends, None all.

    What the ledger holds comes as it stands; each is judged at its hour and followed by the next one, as the claim
    would. Nobody knows what the patient will answer: it is taken that each reminder is answered, but not acted upon.
    """
    rows = Reminder.objects.filter(person=patient, status__in=_COMING, send_at__lt=span.until).select_related("rule")
    if clinic_id is not None:
        rows = rows.filter(clinic_id=clinic_id)
    found = list(rows)
    told = _told(patient, span) if any(verdicts.is_capped(_row(row.rule, row)) for row in found) else []
    in_hand = [_expected(_coming(row, span), span.since) for row in found if row.status == Status.DUE]
    waiting = [_coming(row, span) for row in found if row.status != Status.DUE]
    foreseen = [*in_hand, *_live_through(waiting, span, told)]
    return sorted(foreseen, key=lambda each: (each.at, each.due_at, each.rule.id))


def _live_through(waiting: Iterable[_Coming], span: Span, told: list[datetime]) -> Iterator[Expected]:
    """Claims in memory, hour by hour. `told` are the instants at which habits went out, for the daily cap."""
    order = count()
    heap = [(each.row.send_at, next(order), each) for each in waiting]
    heapq.heapify(heap)
    while heap and heap[0][0] < span.until:
        now = heap[0][0]
        batch = []
        while heap and heap[0][0] == now:
            batch.append(heapq.heappop(heap)[2])
        tally = _tally([*batch, *(each for _, _, each in heap)], batch, told, now)
        for each in sorted(batch, key=lambda one: verdicts.importance(one.row)):
            verdict = verdicts.judge(each.row, now=now, tally=tally)
            following = _put_off(each, verdict, now) if verdict.put_off else _next(each, verdict, now)
            if not verdict.put_off:
                yield replace(_expected(each, now), would_skip=None if verdict.goes_out else verdict.reason)
            if verdict.goes_out and not verdict.put_off and each.row.reminder_class == ReminderClass.HABIT:
                told.append(now)
            if following is not None and following.row.send_at > now:
                heapq.heappush(heap, (following.row.send_at, next(order), following))


def _tally(planned: Sequence[_Coming], batch: Sequence[_Coming], told: Sequence[datetime], now: datetime) -> Tally:
    """What counts against the cap that day, as the claim counts it."""
    counts: dict[Day, int] = {}
    for each in batch:
        if not verdicts.is_capped(each.row):
            continue
        day = verdicts.day_of(each.row, now)
        before = sum(day.from_at <= at < day.until_at for at in told)
        counts[day] = before + sum(_goes_first(other.row, day) for other in planned)
    return Tally(counts)


def _goes_first(row: DueRow, day: Day) -> bool:
    first = row.purpose == Purpose.CHECK_IN or (row.purpose == Purpose.TARGET and day.purpose == Purpose.OWN)
    return first and row.status == Status.PLANNED and row.send_at < day.until_at and row.muted_at is None


def _put_off(each: _Coming, verdict: Verdict, now: datetime) -> _Coming:
    send_at = verdict.send_at or now
    row = each.row._replace(send_at=send_at, expires_at=verdict.expires_at or each.row.expires_at)
    return replace(each, row=row, moved_by_quiet=schedule.quiet_span(each.row, now) is not None)


def _next(each: _Coming, verdict: Verdict, now: datetime) -> _Coming | None:
    row = each.row
    after = row.following_after(now)
    slot = schedule.next_slot(row, after=after) if after is not None else None
    if slot is None:
        return None
    silent = verdict.unanswered_since_at if verdict.reason == Reason.GONE_SILENT else None
    following = row._replace(
        due_at=slot.due_at, send_at=slot.send_at, expires_at=slot.expires_at, unanswered_since_at=silent
    )
    return replace(each, row=following, moved_by_quiet=slot.send_at != slot.due_at)


def _coming(row: Reminder, span: Span) -> _Coming:
    """What stands in the ledger; what was to leave before now leaves now."""
    as_row = _row(row.rule, row)
    moved = row.status == Status.PLANNED and as_row.send_at != row.due_at
    return _Coming(as_row._replace(send_at=max(as_row.send_at, span.since)), row.rule, moved)


def _row(rule: Rule, row: Reminder) -> DueRow:
    """The reminder as the claim reads it."""
    of_row = {name: getattr(row, name) for name in _OF_ROW}
    return DueRow(channels_text=json.dumps(rule.channels), **of_row, **{name: getattr(rule, name) for name in _OF_RULE})


def _told(patient: Person, span: Span) -> list[datetime]:
    """When habits went out lately; those of the same local day count against its cap."""
    lately = Reminder.objects.filter(person=patient, due_at__gte=span.since - timedelta(days=4))
    habits = lately.filter(Q(status=Status.DUE) | Q(sent_at__isnull=False), reminder_class=ReminderClass.HABIT)
    return [sent_at or span.since for sent_at in habits.values_list("sent_at", flat=True)]


def _expected(each: _Coming, at: datetime) -> Expected:
    ways = (Channel.INBOX.value, *channels.known(each.row.channels))
    return Expected(max(at, each.row.send_at), each.row.due_at, each.rule, ways, each.moved_by_quiet, None)
