"""What a person answers to a reminder: seen, or later. Runs inside the caller's transaction."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

from backend.accounts import counters
from backend.accounts.models import Person
from backend.common import clock
from backend.reminders import escalation, ledger, schedule, settling, walltime
from backend.reminders.models import Reason, Reminder, ReminderClass, Rule, Status

SHORTEST = timedelta(minutes=10)
_ENDED = frozenset({Status.ACKNOWLEDGED, Status.DONE, Status.SKIPPED, Status.EXPIRED, Status.FAILED})


class NoSuchReminder(LookupError):
    """There is no such reminder of this person."""


class Ended(ValueError):
    """The reminder has ended; there is nothing to answer any more."""


class CannotWait(ValueError):
    """The reminder cannot be put off for so long, or not at all."""


class NotYet(ValueError):
    """The reminder is not due yet; an answer may put it off, but not bring it forward."""


def acknowledge(*, reminder_id: uuid.UUID, person: Person, now: datetime) -> Reminder:
    """Seen: nothing more is sent. Twice is the same as once, and what is done is done. A chain of people ends with it.

    One that failed on its way is still in the inbox and can be seen there. Raises NoSuchReminder, Ended.
    """

    def answer(row: Reminder, _: Rule) -> bool:
        if row.status in {Status.ACKNOWLEDGED, Status.DONE}:
            return False
        if row.status in {Status.SKIPPED, Status.EXPIRED}:
            raise Ended(f"This reminder is {row.status}; it was never sent.")
        row.status, row.reason, row.acknowledged_at, row.nudge_at = Status.ACKNOWLEDGED, "", now, None
        return True

    row = _answer(reminder_id, person, now, answer)
    if row.status == Status.ACKNOWLEDGED:
        escalation.answered(row, by=person, now=now)
    return row


def snooze(*, reminder_id: uuid.UUID, person: Person, until: datetime | None, now: datetime) -> Reminder:
    """Later: it comes again at `until`, or with None stays quiet until it is done. `due_at` never moves.

    From ten minutes to the end of the person's next day, and not past the event that it announces; what falls into
    quiet hours comes at their end. One that is still planned can only be put off past its own time. Raises
    NoSuchReminder, Ended, CannotWait, NotYet.
    """

    def answer(row: Reminder, rule: Rule) -> bool:
        if row.status in _ENDED:
            raise Ended(f"This reminder is {row.status} already.")
        if row.reminder_class == ReminderClass.SAFETY:
            raise CannotWait("A reminder about safety cannot be put off.")
        if _is_ahead(row, now) and (until is None or until <= max(row.due_at, row.send_at or row.due_at)):
            raise NotYet("This reminder is not due yet; put it off to after its time, or answer it when it comes.")
        again_at = _out_of_quiet(until, rule) if until is not None else None
        if again_at is not None:
            _check(again_at, row, rule, person, now)
            row.expires_at = schedule.expiry(rule, due_at=row.due_at, send_at=again_at)
        if row.status == Status.SNOOZED and row.send_at == again_at:
            return False
        row.status, row.send_at, row.nudge_at = Status.SNOOZED, again_at, None
        row.reason = "" if until else Reason.UNTIL_DONE
        return True

    return _answer(reminder_id, person, now, answer)


def can_wait(*, until: datetime, row: Reminder, rule: Rule, person: Person, now: datetime) -> bool:
    """Whether a reminder that is open could be put off until then."""
    try:
        _check(until, row, rule, person, now)
    except CannotWait:
        return False
    return True


def _is_ahead(row: Reminder, now: datetime) -> bool:
    return row.status == Status.PLANNED and row.send_at is not None and row.send_at > now


def _out_of_quiet(until: datetime, rule: Rule) -> datetime:
    span = schedule.quiet_span(rule, until)
    return span[1] if span else until


def _check(until: datetime, row: Reminder, rule: Rule, person: Person, now: datetime) -> None:
    zone = clock.zone(person.time_zone)
    tomorrow_ends = datetime.combine(walltime.wall(now, zone).date() + timedelta(days=2), datetime.min.time())
    if until < now + SHORTEST - timedelta(seconds=5):
        raise CannotWait("Put it off for ten minutes at least.")
    if until > walltime.instant(tomorrow_ends, zone):
        raise CannotWait("Put it off to the end of the next day at most.")
    if until >= schedule.expiry(rule, due_at=row.due_at, send_at=until):
        raise CannotWait("By then it makes no sense any more: what it announces has begun.")


def _answer(
    reminder_id: uuid.UUID, person: Person, now: datetime, answer: Callable[[Reminder, Rule], bool]
) -> Reminder:
    found = Reminder.objects.filter(id=reminder_id, person=person)
    rule_id = found.values_list("rule_id", flat=True).first()
    if rule_id is None:
        raise NoSuchReminder(str(reminder_id))
    counters.lock(patient_id=person.id)
    (rule,) = ledger.lock_rules([rule_id])
    row = found.get()
    was_planned = row.status == Status.PLANNED
    if answer(row, rule):
        ledger.change(
            [row], now=now, fields=("status", "reason", "send_at", "expires_at", "acknowledged_at", "nudge_at")
        )
        if was_planned:
            ledger.plan_next(rule, after=max(now, row.due_at), now=now)
        settling.heard_of(person_id=person.id, now=now)
    return row
