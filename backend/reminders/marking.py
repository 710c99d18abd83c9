"""Writes the verdicts about claimed reminders: new state, deliveries, next occurrence, silences; in few statements."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from backend.reminders import batches, channels, figures, verdicts
from backend.reminders.codes import WITHDRAWN, Channel, Reason, ReminderClass, Status
from backend.reminders.schedule import Slot
from backend.reminders.verdicts import Verdict

# A snoozed one is sent anew: its attempts count on.
_WRITE = """
WITH v AS (
  SELECT * FROM unnest(%(ids)s::uuid[], %(statuses)s::text[], %(reasons)s::text[], %(put_off)s::timestamptz[],
    %(put_off_expiries)s::timestamptz[], %(nudges)s::timestamptz[], %(numbers)s::bigint[], %(again)s::boolean[],
    %(next_ids)s::uuid[], %(dues)s::timestamptz[], %(sends)s::timestamptz[], %(expiries)s::timestamptz[],
    %(unanswered)s::timestamptz[], %(next_numbers)s::bigint[])
  AS v(id, status, reason, put_off, put_off_expiry, nudge_at, number, again,
       next_id, due_at, send_at, expires_at, unanswered_since_at, next_number)),
claimed AS (
  UPDATE reminders_reminder r
  SET status = v.status, reason = v.reason, updated_at = %(now)s, nudge_at = v.nudge_at,
      send_at = coalesce(v.put_off, r.send_at), expires_at = coalesce(v.put_off_expiry, r.expires_at),
      change_number = v.number,
      version = r.version + CASE WHEN v.status <> 'planned' AND v.number IS NOT NULL THEN 1 ELSE 0 END,
      sent_at = CASE WHEN v.status = 'sent' THEN coalesce(r.sent_at, %(now)s) ELSE r.sent_at END
  FROM v WHERE r.id = v.id
  RETURNING r.id, r.rule_id, r.person_id, r.clinic_id, r.purpose, r.reminder_class, r.about_type, r.about_id, v.again,
    v.next_id, v.due_at, v.send_at, v.expires_at, v.unanswered_since_at, v.next_number),
made AS (
  INSERT INTO reminders_delivery (id, reminder_id, person_id, clinic_id, reminder_class, channel, attempt, status,
    try_at, error, created_at, changed_at)
  SELECT d.id, d.reminder_id, c.person_id, c.clinic_id, c.reminder_class, d.channel,
    CASE WHEN c.again THEN 1 + coalesce((SELECT max(e.attempt) FROM reminders_delivery e
                                         WHERE e.reminder_id = d.reminder_id AND e.channel = d.channel), 0)
         ELSE 1 END,
    CASE d.channel WHEN 'inbox' THEN 'sent' ELSE 'pending' END, %(now)s, '', %(now)s, %(now)s
  FROM unnest(%(delivery_ids)s::uuid[], %(reminders)s::uuid[], %(channels)s::text[]) AS d(id, reminder_id, channel)
  JOIN claimed c ON c.id = d.reminder_id)
INSERT INTO reminders_reminder (id, rule_id, person_id, clinic_id, purpose, reminder_class, about_type, about_id,
  due_at, send_at, expires_at, unanswered_since_at, status, reason, version, change_number, created_at, updated_at)
SELECT c.next_id, c.rule_id, c.person_id, c.clinic_id, c.purpose, c.reminder_class, c.about_type, c.about_id, c.due_at,
  c.send_at, c.expires_at, c.unanswered_since_at, 'planned', '', 1, c.next_number, %(now)s, %(now)s
FROM claimed c WHERE c.due_at IS NOT NULL
ON CONFLICT (rule_id, due_at) DO UPDATE
SET status = 'planned', reason = '', send_at = excluded.send_at, expires_at = excluded.expires_at,
    unanswered_since_at = excluded.unanswered_since_at, updated_at = excluded.updated_at, change_number = NULL
WHERE reminders_reminder.status = 'skipped' AND reminders_reminder.reason = ANY(%(withdrawn)s)
"""

_SILENCES = """
INSERT INTO reminders_silence (id, person_id, clinic_id, purpose, since_at, noted_at)
SELECT gen_random_uuid(), v.person_id, v.clinic_id, v.purpose, v.since_at, %(now)s
FROM unnest(%(persons)s::uuid[], %(clinics)s::uuid[], %(purposes)s::text[], %(since)s::timestamptz[])
  AS v(person_id, clinic_id, purpose, since_at)
ON CONFLICT DO NOTHING
"""


class Judged(NamedTuple):
    """A claimed row, what becomes of it, and the occurrence that follows."""

    row: verdicts.Claimed
    verdict: Verdict
    slot: Slot | None


def write(cursor: Any, judged: Sequence[Judged], *, now: datetime) -> None:
    """Writes all of it, inside the caller's transaction, which holds the rows."""
    if not judged:
        return
    numbers = batches.Numbers()
    people = [each.row.person_id for each in judged]
    places = [numbers.place(person) for person in people]
    next_places = [numbers.place(each.row.person_id) if each.slot else 0 for each in judged]
    numbers.take(cursor)
    made = [(each.row.id, channel) for each in judged for channel in _ways(each)]
    slots = [each.slot for each in judged]
    values: dict[str, Any] = {
        "now": now,
        "withdrawn": [reason.value for reason in WITHDRAWN],
        "ids": [each.row.id for each in judged],
        "statuses": [str(each.verdict.status) for each in judged],
        "reasons": [str(each.verdict.reason) for each in judged],
        "put_off": [each.verdict.send_at for each in judged],
        "put_off_expiries": [each.verdict.expires_at for each in judged],
        "nudges": [each.verdict.nudge_at for each in judged],
        "numbers": numbers.of(people, places),
        "again": [each.row.status == Status.SNOOZED for each in judged],
        "next_ids": batches.ids(len(judged), now=now),
        "dues": [slot.due_at if slot else None for slot in slots],
        "sends": [slot.send_at if slot else None for slot in slots],
        "expiries": [slot.expires_at if slot else None for slot in slots],
        "unanswered": [each.verdict.unanswered_since_at for each in judged],
        "next_numbers": numbers.of(people, next_places),
        "delivery_ids": batches.ids(len(made), now=now),
        "reminders": [reminder for reminder, _ in made],
        "channels": [channel for _, channel in made],
    }
    batches.run(cursor, _WRITE, values)
    figures.judged(((each.row, each.verdict) for each in judged), now=now)
    _note_silences(cursor, [each.row for each in judged if each.verdict.reason == Reason.GONE_SILENT], now)


def _ways(judged: Judged) -> list[str]:
    """The channels through which it leaves now: the first of the person's; about safety all of them at once.

    The inbox is the ledger itself, so it has a delivery of its own only where there is no other way.
    """
    if not judged.verdict.goes_out:
        return []
    wanted = channels.known(judged.row.channels)
    if not wanted:
        return [] if judged.row.status == Status.SNOOZED else [Channel.INBOX.value]
    return wanted if judged.row.reminder_class == ReminderClass.SAFETY else wanted[:1]


def _note_silences(cursor: Any, rows: Sequence[verdicts.Claimed], now: datetime) -> None:
    """Notes for each patient once that nothing more is sent; `silences.tell` tells their clinics."""
    if rows:
        values: dict[str, list[uuid.UUID | None] | Any] = {
            "now": now,
            "persons": [row.person_id for row in rows],
            "clinics": [row.clinic_id for row in rows],
            "purposes": [row.purpose for row in rows],
            "since": [row.unanswered_since_at for row in rows],
        }
        cursor.execute(_SILENCES, values)
