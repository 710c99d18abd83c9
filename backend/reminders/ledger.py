"""Writes the plan of a rule into the ledger, by set difference: the same plan twice is the same as once."""

import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from backend.accounts import counters
from backend.reminders import schedule
from backend.reminders.models import WITHDRAWN, Purpose, Reason, Reminder, Rule, Status
from backend.reminders.schedule import Slot

_PLANNED_FIELDS = (
    "send_at",
    "expires_at",
    "status",
    "reason",
    "unanswered_since_at",
    "updated_at",
    "version",
    "change_number",
)


def lock_rules(rule_ids: Iterable[uuid.UUID]) -> list[Rule]:
    """The rules and their reminders that may still be claimed, locked in the order of their ids.

    Whoever plans holds both before reading or changing anything. The dispatcher takes the reminders when it claims,
    passes over what is held and reads the rule only then, so a plan and a claim never interleave.
    """
    ids = set(rule_ids)
    rules = list(Rule.objects.filter(id__in=ids).order_by("id").select_for_update(no_key=True))
    claimable = Reminder.objects.filter(rule__in=ids, status__in=[Status.PLANNED, Status.SNOOZED]).order_by("id")
    list(claimable.select_for_update(no_key=True).values_list("id"))
    return rules


def write_plan(rule: Rule, slots: Sequence[Slot], *, now: datetime, reason: str, in_hand: bool = False) -> int:
    """Makes the planned reminders of a locked rule equal to `slots` and returns how many rows changed.

    What is not in the plan any more is skipped with the reason; with `in_hand` also what is due or snoozed. What was
    sent, answered or done stays. What an earlier plan had taken away comes back.
    """
    wanted = {slot.due_at: slot for slot in slots}
    known = {row.due_at: row for row in rule.reminders.filter(due_at__in=wanted)}
    movable = [Status.PLANNED, Status.DUE, Status.SNOOZED] if in_hand else [Status.PLANNED]
    gone = list(rule.reminders.filter(status__in=movable).exclude(due_at__in=wanted))
    for row in gone:
        row.status, row.reason = Status.SKIPPED, reason
    kept = [row for due_at, row in known.items() if _adopt(row, wanted[due_at], now)]
    new = [_new(rule, slot, now) for due_at, slot in wanted.items() if due_at not in known]
    # A silence that is being counted goes on: a new hour or zone is not an answer.
    since = min((row.unanswered_since_at for row in gone if row.unanswered_since_at), default=None)
    for row in [*kept, *new]:
        row.unanswered_since_at = row.unanswered_since_at or since
    _number(rule.person_id, [*gone, *kept, *new], now)
    Reminder.objects.bulk_update([*gone, *kept], _PLANNED_FIELDS)
    Reminder.objects.bulk_create(new)
    return len(gone) + len(kept) + len(new)


def add(rule: Rule, slot: Slot, *, now: datetime) -> Reminder:
    """A planned reminder whose place in its person's order of changes the dispatcher gives: for those who may not."""
    row = _new(rule, slot, now)
    row.version, row.updated_at = 1, now
    row.save(force_insert=True)
    return row


def plan_next(rule: Rule, *, after: datetime, now: datetime) -> Reminder | None:
    """Makes sure that the next occurrence of a locked, open series after an instant stands in the ledger as planned."""
    slot = next_free(rule, after=after) if rule.ended_at is None else None
    row = rule.reminders.filter(due_at=slot.due_at).first() if slot else None
    if slot is None or (row is not None and not _adopt(row, slot, now)):
        return row
    new = row or _new(rule, slot, now)
    _number(rule.person_id, [new], now)
    new.save(force_insert=row is None)
    return new


def next_free(rule: Rule, *, after: datetime, served: Collection[datetime] = ()) -> Slot | None:
    """The next slot of a series after an instant that was not settled, answered or sent in advance."""
    if rule.settled_until_at is not None:
        after = max(after, rule.settled_until_at - timedelta(microseconds=1))
    used = rule.reminders.filter(due_at__gt=after).exclude(status=Status.PLANNED).exclude(reason__in=WITHDRAWN)
    taken = set(used.values_list("due_at", flat=True))
    slot = schedule.next_slot(rule, after=after, served=served)
    while slot is not None and slot.due_at in taken:
        slot = schedule.next_slot(rule, after=slot.due_at, served=served)
    return slot


def carry_over(*, about_type: str, from_id: uuid.UUID, to_id: uuid.UUID) -> None:
    """What rules are about is known by another id from now on; the rules stay, and with them what calendars know."""
    taken = Rule.objects.filter(about_type=about_type, about_id=to_id).values("person_id")
    Rule.objects.filter(about_type=about_type, about_id=from_id).exclude(person_id__in=taken).update(about_id=to_id)


def change(rows: Sequence[Reminder], *, now: datetime, fields: Collection[str]) -> None:
    """Saves what a person sees of reminders that were changed, all of one person, with new versions and numbers."""
    if rows:
        _number(rows[0].person_id, rows, now)
        Reminder.objects.bulk_update(rows, {*fields, "updated_at", "version", "change_number"})


def _adopt(row: Reminder, slot: Slot, now: datetime) -> bool:
    """Takes over the slot's hours where the row may still move; whether anything changed."""
    withdrawn = row.status == Status.SKIPPED and row.reason in WITHDRAWN
    if (row.status != Status.PLANNED and not withdrawn) or (withdrawn and slot.missed):
        return False
    leaving = row.send_at is not None and row.send_at <= now and slot.send_at <= now
    if not withdrawn and (leaving or row.send_at == slot.send_at) and row.expires_at == slot.expires_at:
        return False
    row.send_at, row.expires_at = slot.send_at, slot.expires_at
    row.status, row.reason = Status.PLANNED, ""
    return True


def _new(rule: Rule, slot: Slot, now: datetime) -> Reminder:
    return Reminder(
        rule=rule,
        person_id=rule.person_id,
        clinic_id=rule.clinic_id,
        purpose=rule.purpose,
        reminder_class=Purpose(rule.purpose).facts.reminder_class,
        about_type=rule.about_type,
        about_id=rule.about_id,
        due_at=slot.due_at,
        send_at=slot.send_at,
        expires_at=slot.expires_at,
        status=Status.SKIPPED if slot.missed else Status.PLANNED,
        reason=Reason.MADE_LATER if slot.missed else "",
        version=0,
        created_at=now,
    )


def _number(person_id: uuid.UUID, rows: Sequence[Reminder], now: datetime) -> None:
    if not rows:
        return
    last = counters.next_numbers(patient_id=person_id, count=len(rows))
    for place, row in enumerate(rows, start=1 - len(rows)):
        row.change_number = last + place
        row.version += 1
        row.updated_at = now
