"""Claims what is due: the ledger's row, its first delivery and the next occurrence, in one transaction."""

import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from django.db import connections

from backend.accounts import access
from backend.reminders import channels, figures, schedule, verdicts
from backend.reminders.codes import WITHDRAWN, Channel, DeliveryStatus, Purpose, Reason, ReminderClass, Status
from backend.reminders.verdicts import Day, Tally, Verdict

log = structlog.get_logger(__name__)

BATCH = 500
# Any constant will do, so long as nobody else locks with it: the room's first letters.
_LOCK_SPACE = int.from_bytes(b"remi")
_BY_URGENCY = (ReminderClass.SAFETY, ReminderClass.CARE, ReminderClass.HABIT)
# A row that throws must not stop the others, nor be tried each second.
_POISONED_FOR = timedelta(hours=1)

_DUE = """
SELECT r.id, r.rule_id, r.status, r.due_at, r.expires_at, r.person_id, r.clinic_id, r.purpose, r.reminder_class,
       r.about_type, r.about_id, rule.rrule, rule.start_local, rule.anchor_at, rule.time_zone,
       rule.quiet_from, rule.quiet_until, rule.window_minutes,
       ARRAY(SELECT jsonb_array_elements_text(rule.channels)), rule.settled_until_at, rule.ended_at,
       r.send_at, r.unanswered_since_at, rule.home_zone, rule.daily_cap, rule.nudge_minutes, rule.muted_at,
       rule.paused_from_at, rule.paused_until_at
FROM reminders_reminder r JOIN reminders_rule rule ON rule.id = r.rule_id
WHERE r.status IN ('planned', 'snoozed') AND r.reminder_class = %s AND r.send_at <= %s
ORDER BY r.send_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""

_UPDATE = """
UPDATE reminders_reminder r
SET status = v.status, reason = v.reason, updated_at = %(now)s,
    sent_at = CASE WHEN v.status = 'sent' THEN coalesce(r.sent_at, %(now)s) ELSE r.sent_at END,
    send_at = coalesce(v.send_at, r.send_at), expires_at = coalesce(v.expires_at, r.expires_at), nudge_at = v.nudge_at,
    change_number = CASE WHEN v.status = 'due' THEN r.change_number END
FROM unnest(%(ids)s::uuid[], %(statuses)s::text[], %(reasons)s::text[], %(sends)s::timestamptz[],
            %(expiries)s::timestamptz[], %(nudges)s::timestamptz[])
  AS v(id, status, reason, send_at, expires_at, nudge_at)
WHERE r.id = v.id
"""

# What counts against a person's daily cap: habits told that day, and more important ones that are planned for later.
_TOLD = """
SELECT v.place,
  (SELECT count(*) FROM reminders_reminder r
   WHERE r.person_id = v.person_id AND r.due_at >= v.from_at - interval '3 days' AND r.due_at < v.until_at
     AND r.reminder_class = 'habit'
     AND (r.status = 'due' OR (r.sent_at >= v.from_at AND r.sent_at < v.until_at)))
  + (SELECT count(*) FROM reminders_reminder r JOIN reminders_rule rule ON rule.id = r.rule_id
     WHERE r.person_id = v.person_id AND r.due_at >= v.from_at - interval '3 days' AND r.due_at < v.until_at
       AND r.status = 'planned' AND r.send_at < v.until_at AND rule.muted_at IS NULL
       AND (r.purpose = 'check_in' OR (r.purpose = 'target' AND v.purpose = 'own')))
FROM unnest(%s::int[], %s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[])
  AS v(place, person_id, purpose, from_at, until_at)
"""

_SILENCES = """
INSERT INTO reminders_silence (id, person_id, clinic_id, purpose, since_at, noted_at)
SELECT gen_random_uuid(), v.person_id, v.clinic_id, v.purpose, v.since_at, %(now)s
FROM unnest(%(persons)s::uuid[], %(clinics)s::uuid[], %(purposes)s::text[], %(since)s::timestamptz[])
  AS v(person_id, clinic_id, purpose, since_at)
ON CONFLICT DO NOTHING
"""

_PUT_OFF = "UPDATE reminders_reminder SET send_at = %s WHERE id = ANY(%s)"

_DELIVERIES = """
INSERT INTO reminders_delivery
  (id, reminder_id, person_id, clinic_id, reminder_class, channel, attempt, status, try_at, error,
   created_at, changed_at)
SELECT gen_random_uuid(), v.reminder_id, v.person_id, v.clinic_id, v.reminder_class, v.channel,
       1 + coalesce((SELECT max(d.attempt) FROM reminders_delivery d
                     WHERE d.reminder_id = v.reminder_id AND d.channel = v.channel), 0),
       v.status, %(now)s, '', %(now)s, %(now)s
FROM unnest(%(reminders)s::uuid[], %(persons)s::uuid[], %(clinics)s::uuid[], %(classes)s::text[], %(channels)s::text[],
            %(statuses)s::text[]) AS v(reminder_id, person_id, clinic_id, reminder_class, channel, status)
WHERE v.channel <> 'inbox' OR NOT EXISTS (
  SELECT FROM reminders_delivery d WHERE d.reminder_id = v.reminder_id AND d.channel = 'inbox')
"""

_NEXT = """
INSERT INTO reminders_reminder
  (id, rule_id, person_id, clinic_id, purpose, reminder_class, about_type, about_id, due_at, send_at, expires_at,
   unanswered_since_at, status, reason, version, created_at, updated_at)
SELECT gen_random_uuid(), v.rule_id, v.person_id, v.clinic_id, v.purpose, v.reminder_class, v.about_type, v.about_id,
       v.due_at, v.send_at, v.expires_at, v.unanswered_since_at, 'planned', '', 1, %(now)s, %(now)s
FROM unnest(%(rules)s::uuid[], %(persons)s::uuid[], %(clinics)s::uuid[], %(purposes)s::text[], %(classes)s::text[],
            %(about_types)s::text[], %(about_ids)s::uuid[], %(dues)s::timestamptz[], %(sends)s::timestamptz[],
            %(expiries)s::timestamptz[], %(unanswered)s::timestamptz[])
  AS v(rule_id, person_id, clinic_id, purpose, reminder_class, about_type, about_id, due_at, send_at, expires_at,
       unanswered_since_at)
ON CONFLICT (rule_id, due_at) DO UPDATE
SET status = 'planned', reason = '', send_at = excluded.send_at, expires_at = excluded.expires_at,
    unanswered_since_at = excluded.unanswered_since_at, updated_at = excluded.updated_at, change_number = NULL
WHERE reminders_reminder.status = 'skipped' AND reminders_reminder.reason = ANY(%(withdrawn)s)
"""


class DueRow(NamedTuple):
    """A due reminder with what its rule says; it serves `schedule` as a rule does."""

    id: uuid.UUID
    rule_id: uuid.UUID
    status: str
    due_at: datetime
    expires_at: datetime
    person_id: uuid.UUID
    clinic_id: uuid.UUID | None
    purpose: str
    reminder_class: str
    about_type: str
    about_id: uuid.UUID | None
    rrule: str | None
    start_local: datetime | None
    anchor_at: datetime | None
    time_zone: str
    quiet_from: Any
    quiet_until: Any
    window_minutes: int
    channels: list[str]
    settled_until_at: datetime | None
    ended_at: datetime | None
    send_at: datetime
    unanswered_since_at: datetime | None
    home_zone: str
    daily_cap: int | None
    nudge_minutes: int | None
    muted_at: datetime | None
    paused_from_at: datetime | None
    paused_until_at: datetime | None
    offsets: list[dict[str, Any]] = []  # around an anchor all reminders exist from the start


def claim(*, now: datetime, most: int = 100_000) -> int:
    """Claims all that is due in batches of a transaction each, safety before every other; the number of rows claimed.

    Two claimers of one class exclude each other by an advisory lock; rows that someone is planning anew are skipped
    and come with the next tick.
    """
    claimed = 0
    while claimed < most:
        for reminder_class in _BY_URGENCY:
            count = _claim_batch(reminder_class, now)
            claimed += count
            if count == BATCH:
                break  # and look for urgent ones again before the next batch
        else:
            break
    return claimed


def _claim_batch(reminder_class: ReminderClass, now: datetime) -> int:
    with access.dispatching("claim"), connections["dispatch"].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [_LOCK_SPACE, _BY_URGENCY.index(reminder_class)])
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(_DUE, [reminder_class, now, BATCH])
        rows = [DueRow(*row) for row in cursor.fetchall()]
        if rows:
            _work(cursor, rows, now)
        return len(rows)


def _work(cursor: Any, rows: Sequence[DueRow], now: datetime) -> None:
    judged: list[tuple[DueRow, Verdict]] = []
    following: list[tuple[DueRow, Verdict, schedule.Slot]] = []
    poisoned = []
    tally = _tally(cursor, rows, now)
    for row in sorted(rows, key=verdicts.importance):
        try:
            verdict = verdicts.judge(row, now=now, tally=tally)
            slot = None if verdict.put_off else _next_slot(row, now)
        except Exception:  # whatever is wrong with one rule, the others go on
            log.exception("reminder cannot be planned on", reminder=str(row.id))
            poisoned.append(row)
            continue
        judged.append((row, verdict))
        if slot is not None:
            following.append((row, verdict, slot))
    if poisoned:
        cursor.execute(_PUT_OFF, [now + _POISONED_FOR, [row.id for row in poisoned]])
    cursor.execute(
        _UPDATE,
        {
            "now": now,
            "ids": [row.id for row, _ in judged],
            "statuses": [verdict.status for _, verdict in judged],
            "reasons": [verdict.reason for _, verdict in judged],
            "sends": [verdict.send_at for _, verdict in judged],
            "expiries": [verdict.expires_at for _, verdict in judged],
            "nudges": [verdict.nudge_at for _, verdict in judged],
        },
    )
    _deliveries(cursor, [row for row, verdict in judged if verdict.goes_out], now)
    _following(cursor, following, now)
    figures.judged(judged, now=now)
    _silences(cursor, [row for row, verdict in judged if verdict.reason == Reason.GONE_SILENT], now)


def _tally(cursor: Any, rows: Sequence[DueRow], now: datetime) -> Tally:
    """What counts against daily caps; asked, once for all, only where something could be cut."""
    days: set[Day] = set()
    for row in rows:
        with suppress(Exception):  # whatever is wrong with it, `judge` meets it again
            if verdicts.is_capped(row):
                days.add(verdicts.day_of(row, now))
    if not days:
        return Tally({})
    asked = list(days)
    cursor.execute(_TOLD, [list(range(len(asked))), *([each[at] for each in asked] for at in range(len(Day._fields)))])
    return Tally({asked[place]: count for place, count in cursor.fetchall()})


def _next_slot(row: DueRow, now: datetime) -> schedule.Slot | None:
    """The occurrence after this one, strictly after now: an outage yields one late reminder, not a flood."""
    if row.status != Status.PLANNED or row.ended_at is not None:
        return None
    after = max(now, row.due_at)
    if row.settled_until_at is not None:
        after = max(after, row.settled_until_at - timedelta(microseconds=1))
    return schedule.next_slot(row, after=after)


def _deliveries(cursor: Any, rows: Sequence[DueRow], now: datetime) -> None:
    made = [(row, Channel.INBOX, DeliveryStatus.SENT) for row in rows]
    made += [(row, Channel(first), DeliveryStatus.PENDING) for row in rows if (first := channels.first(row.channels))]
    cursor.execute(
        _DELIVERIES,
        {
            "now": now,
            "reminders": [row.id for row, _, _ in made],
            "persons": [row.person_id for row, _, _ in made],
            "clinics": [row.clinic_id for row, _, _ in made],
            "classes": [row.reminder_class for row, _, _ in made],
            "channels": [channel for _, channel, _ in made],
            "statuses": [status for _, _, status in made],
        },
    )


def _silences(cursor: Any, rows: Sequence[DueRow], now: datetime) -> None:
    """Notes for each patient once that nothing more is sent; `silences.tell` tells their clinics."""
    if not rows:
        return
    cursor.execute(
        _SILENCES,
        {
            "now": now,
            "persons": [row.person_id for row in rows],
            "clinics": [row.clinic_id for row in rows],
            "purposes": [row.purpose for row in rows],
            "since": [row.unanswered_since_at for row in rows],
        },
    )


def _following(cursor: Any, planned: Sequence[tuple[DueRow, Verdict, schedule.Slot]], now: datetime) -> None:
    if not planned:
        return
    cursor.execute(
        _NEXT,
        {
            "now": now,
            "rules": [row.rule_id for row, _, _ in planned],
            "persons": [row.person_id for row, _, _ in planned],
            "clinics": [row.clinic_id for row, _, _ in planned],
            "purposes": [row.purpose for row, _, _ in planned],
            "classes": [Purpose(row.purpose).facts.reminder_class for row, _, _ in planned],
            "about_types": [row.about_type for row, _, _ in planned],
            "about_ids": [row.about_id for row, _, _ in planned],
            "dues": [slot.due_at for _, _, slot in planned],
            "sends": [slot.send_at for _, _, slot in planned],
            "expiries": [slot.expires_at for _, _, slot in planned],
            "unanswered": [verdict.unanswered_since_at for _, verdict, _ in planned],
            "withdrawn": list(WITHDRAWN),
        },
    )
