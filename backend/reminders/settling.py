"""What was done, and that someone was heard of: reminders stop, silences end. Inside the caller's transaction."""

import uuid
from datetime import datetime
from typing import Any

from django.db import connection

from backend.accounts import counters
from backend.reminders import ledger
from backend.reminders.models import OPEN, Reminder, Rule, Silence, Status
from backend.reminders.verdicts import NAGGING

# Whether a silence of the person is being counted, or has been noted.
_IS_COUNTED = """
EXISTS (SELECT FROM reminders_reminder WHERE person_id = %(person)s AND purpose = ANY(%(nagging)s)
        AND status = 'planned' AND unanswered_since_at IS NOT NULL)
OR EXISTS (SELECT FROM reminders_silence WHERE person_id = %(person)s AND ended_at IS NULL)
"""

# Rules with something open in the span, and open series that do not know yet that they are settled up to its end.
_TO_SETTLE = f"""
SELECT rule_id FROM reminders_reminder
WHERE person_id = %(person)s AND purpose = %(purpose)s AND due_at >= %(from)s AND due_at < %(until)s
  AND status = ANY(%(open)s)
UNION
SELECT id FROM reminders_rule
WHERE %(until)s > %(now)s AND person_id = %(person)s AND purpose = %(purpose)s AND ended_at IS NULL
  AND rrule IS NOT NULL AND (settled_until_at IS NULL OR settled_until_at < %(until)s)
UNION
SELECT NULL::uuid WHERE {_IS_COUNTED}
"""  # noqa: S608  (words of our own alone)


def settle(
    *, person_id: uuid.UUID, purpose: str, from_at: datetime, until_at: datetime, reason: str, now: datetime
) -> int:
    """What was to be reminded of in this half-open span of due instants is done; the number of reminders settled.

    A series goes on with its next occurrence and remembers up to where it was settled, also when nothing was open. The
    worker looks at the row again before it sends, so this holds until the very hand-over. A silence ends.
    """
    asked: dict[str, Any] = {
        "person": person_id,
        "purpose": purpose,
        "from": from_at,
        "until": until_at,
        "now": now,
        "open": list(OPEN),
        "nagging": list(NAGGING),
    }
    with connection.cursor() as cursor:  # asked with every log, and nearly always there is nothing to settle
        cursor.execute(_TO_SETTLE, asked)
        found = [row[0] for row in cursor.fetchall()]
    if not found:
        return 0
    span = Reminder.objects.filter(person_id=person_id, purpose=purpose, due_at__gte=from_at, due_at__lt=until_at)
    counters.lock(patient_id=person_id)
    settled, rules = 0, ledger.lock_rules(id for id in found if id is not None)
    # All at once and by their ids, as the workers lock them, so that nobody waits crosswise.
    list(span.filter(status__in=OPEN).order_by("id").select_for_update(no_key=True).values_list("id"))
    for rule in rules:
        while rows := list(span.filter(rule=rule, status__in=OPEN)):
            for row in rows:
                row.status, row.reason, row.nudge_at = Status.DONE, reason, None
            ledger.change(rows, now=now, fields=("status", "reason", "nudge_at"))
            settled += len(rows)
            ledger.plan_next(rule, after=max(now, *(row.due_at for row in rows)), now=now)
        if set_settled(rule, until_at):
            rule.save(update_fields=["settled_until_at"])
    heard_of(person_id=person_id, now=now)
    return settled


def set_settled(rule: Rule, until_at: datetime | None) -> bool:
    """Notes on a rule, to be saved, up to where it is settled; whether that is news."""
    if until_at is None or (rule.settled_until_at is not None and rule.settled_until_at >= until_at):
        return False
    rule.settled_until_at = until_at
    return True


def heard_of(*, person_id: uuid.UUID, now: datetime) -> None:
    """The person has answered or logged something: silences end, and reminders resume with the next occurrence.

    The caller holds the person's counter.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_IS_COUNTED}", {"person": person_id, "nagging": list(NAGGING)})
        if not cursor.fetchone()[0]:
            return
    # The rules first: a claim that is under way would otherwise tell the next reminder of a silence that has ended.
    rules = ledger.lock_rules(
        Rule.objects.filter(person_id=person_id, purpose__in=NAGGING).values_list("id", flat=True)
    )
    counted = Reminder.objects.filter(rule__in=rules, status=Status.PLANNED, unanswered_since_at__isnull=False)
    counted.update(unanswered_since_at=None)
    Silence.objects.filter(person_id=person_id, ended_at__isnull=True).update(ended_at=now)
