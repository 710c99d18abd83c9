"""Writes the verdicts about claimed reminders: new state, deliveries, next occurrence, silences; in few statements."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from backend.reminders import batches, channels, figures, verdicts
from backend.reminders.codes import WITHDRAWN, Channel, Reason, ReminderClass, Status
from backend.reminders.due_rows import DueRow
from backend.reminders.schedule import Slot
from backend.reminders.verdicts import Verdict

# Rows at their places (ctid; the caller holds them), each with the place of what was decided, which many share. New ids
# count up behind the batch's prefix: the occurrences by row, the deliveries by row and way.
# A snoozed one is sent anew: its attempts count on.
_WRITE = """
WITH decided AS (
  SELECT * FROM unnest(%(statuses)s::text[], %(reasons)s::text[], %(put_off)s::timestamptz[],
    %(put_off_expiries)s::timestamptz[], %(nudges)s::timestamptz[], %(dues)s::timestamptz[], %(sends)s::timestamptz[],
    %(expiries)s::timestamptz[], %(unanswered)s::timestamptz[], %(again)s::boolean[]) WITH ORDINALITY
  AS d(status, reason, put_off, put_off_expiry, nudge_at, due_at, send_at, expires_at, unanswered_since_at, again, at)),
claimed AS (
  UPDATE reminders_reminder r
  SET status = d.status, reason = d.reason, updated_at = %(now)s, nudge_at = d.nudge_at,
      send_at = coalesce(d.put_off, r.send_at), expires_at = coalesce(d.put_off_expiry, r.expires_at),
      change_number = v.number,
      version = r.version + CASE WHEN d.status <> 'planned' AND v.number IS NOT NULL THEN 1 ELSE 0 END,
      sent_at = CASE WHEN d.status = 'sent' THEN coalesce(r.sent_at, %(now)s) ELSE r.sent_at END
  FROM unnest(%(places)s::text[]::tid[], %(decisions)s::int[], %(numbers)s::bigint[]) WITH ORDINALITY
    AS v(place, decision, number, n) JOIN decided d ON d.at = v.decision
  WHERE r.ctid = v.place
  RETURNING r.id, r.rule_id, r.person_id, r.clinic_id, r.purpose, r.reminder_class, r.about_type, r.about_id, v.n,
    v.number + 1 AS next_number, d.at, d.again, d.due_at, d.send_at, d.expires_at, d.unanswered_since_at),
made AS (
  INSERT INTO reminders_delivery (id, reminder_id, person_id, clinic_id, reminder_class, channel, attempt, status,
    try_at, error, created_at, changed_at)
  SELECT (%(prefix)s::text || lpad(to_hex(c.n * 16 + w.n), 4, '0'))::uuid, c.id, c.person_id, c.clinic_id,
    c.reminder_class, w.channel,
    CASE WHEN c.again THEN 1 + coalesce((SELECT max(e.attempt) FROM reminders_delivery e
                                         WHERE e.reminder_id = c.id AND e.channel = w.channel), 0)
         ELSE 1 END,
    CASE w.channel WHEN 'inbox' THEN 'sent' ELSE 'pending' END, %(now)s, '', %(now)s, %(now)s
  FROM claimed c
  JOIN unnest(%(ways_of)s::int[], %(way_places)s::int[], %(ways)s::text[]) AS w(at, n, channel) ON w.at = c.at)
INSERT INTO reminders_reminder (id, rule_id, person_id, clinic_id, purpose, reminder_class, about_type, about_id,
  due_at, send_at, expires_at, unanswered_since_at, status, reason, version, change_number, created_at, updated_at)
SELECT (%(prefix)s::text || lpad(to_hex(c.n), 4, '0'))::uuid, c.rule_id, c.person_id, c.clinic_id, c.purpose,
  c.reminder_class, c.about_type, c.about_id, c.due_at, c.send_at, c.expires_at, c.unanswered_since_at, 'planned', '',
  1, c.next_number, %(now)s, %(now)s
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


class Decision(NamedTuple):
    """What becomes of claimed rows, the occurrence that follows, the channels now; `again` where it was told before."""

    verdict: Verdict
    slot: Slot | None
    ways: Sequence[str]
    again: bool


Judged = tuple[DueRow, Decision]


def ways_of(row: verdicts.Claimed, verdict: Verdict) -> list[str]:
    """The channels through which it leaves now: the first of the person's; about safety all of them at once.

    The inbox is the ledger itself, so it has a delivery of its own only where there is no other way.
    """
    if not verdict.goes_out:
        return []
    wanted = channels.known(row.channels)
    if not wanted:
        return [] if row.status == Status.SNOOZED else [Channel.INBOX.value]
    return wanted if row.reminder_class == ReminderClass.SAFETY else wanted[:1]


def write(cursor: Any, judged: Sequence[Judged], *, now: datetime) -> None:
    """Writes all of it, inside the caller's transaction, which holds the rows."""
    if not judged:
        return
    # Each decision once, however many rows share it.
    each = list({id(decision): decision for _, decision in judged}.values())
    places = {id(decision): place for place, decision in enumerate(each, 1)}
    people, changes = [row.person_id for row, _ in judged], [2 if decision.slot else 1 for _, decision in judged]
    ways = [(at, n, channel) for at, one in enumerate(each, 1) for n, channel in enumerate(one.ways)]
    values: dict[str, Any] = {
        "now": now,
        "withdrawn": [reason.value for reason in WITHDRAWN],
        "statuses": [str(one.verdict.status) for one in each],
        "reasons": [str(one.verdict.reason) for one in each],
        "put_off": [one.verdict.send_at for one in each],
        "put_off_expiries": [one.verdict.expires_at for one in each],
        "nudges": [one.verdict.nudge_at for one in each],
        "dues": [one.slot.due_at if one.slot else None for one in each],
        "sends": [one.slot.send_at if one.slot else None for one in each],
        "expiries": [one.slot.expires_at if one.slot else None for one in each],
        "unanswered": [one.verdict.unanswered_since_at for one in each],
        "again": [one.again for one in each],
        "places": [row.place for row, _ in judged],
        "decisions": [places[id(decision)] for _, decision in judged],
        "numbers": batches.take_numbers(cursor, people, changes),
        "prefix": batches.id_prefix(now=now),
        "ways_of": [at for at, _, _ in ways],
        "way_places": [n for _, n, _ in ways],
        "ways": [channel for _, _, channel in ways],
    }
    batches.insert(cursor, _WRITE, values)
    figures.judged(((row, decision.verdict) for row, decision in judged), now=now)
    _note_silences(cursor, [row for row, decision in judged if decision.verdict.reason == Reason.GONE_SILENT], now)


def _note_silences(cursor: Any, rows: Sequence[DueRow], now: datetime) -> None:
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
