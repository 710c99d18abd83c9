"""Writes down what became of deliveries: sent, to be tried again, on to the next channel, or parked for staff."""

import random
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from backend.reminders import channels, figures
from backend.reminders.channels.base import Fate, Outcome
from backend.reminders.leases import Leased, Started

# Temporary refusals: about 30 s, 1, 2 and 4 minutes apart, as long as the reminder makes sense.
ATTEMPTS = 5
_FIRST_PAUSE = timedelta(seconds=30)

# Attempts of earlier sendings: a reminder that was put off, or that staff sent again, is sent anew, and counts anew.
# Within one sending each attempt is made in the very moment in which the one before it failed.
_EARLIER = """
SELECT coalesce(max(d.attempt), 0) FROM reminders_delivery d
WHERE d.reminder_id = %s AND d.channel = %s AND d.attempt < %s AND NOT EXISTS (
  SELECT FROM reminders_delivery n WHERE n.reminder_id = d.reminder_id AND n.channel = d.channel
    AND n.attempt = d.attempt + 1 AND n.created_at = d.changed_at)
"""

Result = tuple[Leased, Started, Outcome]

# `unknown` too: a worker that was only slow may still say what became of it.
_DELIVERY = """
UPDATE reminders_delivery SET status = %(status)s, error = %(error)s, lease_token = NULL, lease_ends_at = NULL,
  changed_at = %(now)s
WHERE id = ANY(%(ids)s) AND lease_token = %(token)s AND status IN ('sending', 'unknown')
"""

_SENT = """
UPDATE reminders_reminder SET status = 'sent', reason = %(reason)s, sent_at = coalesce(sent_at, %(now)s),
  change_number = NULL, updated_at = %(now)s
WHERE id = ANY(%(reminders)s) AND (status = 'due' OR (status = 'sent' AND reason = 'unconfirmed'))
RETURNING reminder_class, send_at, sent_at
"""

# One that was sent before, and now again, was told all the same; one in doubt stays so.
_FAILED = """
UPDATE reminders_reminder SET change_number = NULL, updated_at = %(now)s,
  status = CASE WHEN sent_at IS NULL THEN 'failed' ELSE 'sent' END,
  reason = CASE WHEN sent_at IS NULL THEN 'undeliverable'
    WHEN EXISTS (SELECT FROM reminders_delivery d WHERE d.reminder_id = reminders_reminder.id AND d.status = 'unknown')
    THEN 'unconfirmed' ELSE '' END
WHERE id = ANY(%(reminders)s) AND status = 'due'
"""

_AGAIN = """
INSERT INTO reminders_delivery
  (id, reminder_id, person_id, clinic_id, reminder_class, channel, attempt, status, try_at, error,
   created_at, changed_at)
SELECT gen_random_uuid(), r.id, r.person_id, r.clinic_id, r.reminder_class, v.channel,
       CASE WHEN v.attempt > 0 THEN v.attempt ELSE 1 + coalesce((
         SELECT max(d.attempt) FROM reminders_delivery d WHERE d.reminder_id = r.id AND d.channel = v.channel), 0) END,
       'pending', v.try_at, '', %(now)s, %(now)s
FROM unnest(%(reminders)s::uuid[], %(channels)s::text[], %(attempts)s::int[], %(tries)s::timestamptz[])
  AS v(reminder_id, channel, attempt, try_at)
JOIN reminders_reminder r ON r.id = v.reminder_id AND r.status = 'due'
WHERE v.attempt > 0 OR NOT EXISTS (
  SELECT FROM reminders_delivery d WHERE d.reminder_id = r.id AND d.channel = v.channel
    AND d.status IN ('pending', 'leased', 'sending'))
ON CONFLICT (reminder_id, channel, attempt) DO NOTHING
"""


def finish(cursor: Any, *, results: Sequence[Result], token: uuid.UUID, now: datetime) -> None:
    """Writes the outcomes of one hand-over, inside the caller's transaction."""
    again: list[tuple[uuid.UUID, str, int, datetime]] = []
    hopeless: list[uuid.UUID] = []
    for leased, started, outcome in results:
        if outcome.fate in {Fate.LATER, Fate.REFUSED}:
            following = _following(leased, started, outcome, _tries(cursor, leased), now)
            if following:
                again.append(following)
                figures.add("retries", following[1])
            else:
                hopeless.append(leased.reminder_id)
                figures.add("failed", leased.channel)
    figures.handed((leased.channel, outcome.fate.value) for leased, _, outcome in results)
    for (status, error), ids in _grouped(results).items():
        cursor.execute(_DELIVERY, {"status": status, "error": error, "ids": ids, "token": token, "now": now})
    for fate, reason in ((Fate.SENT, ""), (Fate.UNKNOWN, "unconfirmed")):
        if handed := [leased.reminder_id for leased, _, outcome in results if outcome.fate is fate]:
            cursor.execute(_SENT, {"reminders": handed, "reason": reason, "now": now})
            figures.left(cursor.fetchall(), now=now)
    if again:
        reminders, names, attempts, tries = (list(column) for column in zip(*again, strict=True))
        values = {"reminders": reminders, "channels": names, "attempts": attempts, "tries": tries, "now": now}
        cursor.execute(_AGAIN, values)
    if hopeless:
        cursor.execute(_FAILED, {"reminders": hopeless, "now": now})


def _grouped(results: Iterable[Result]) -> dict[tuple[str, str], list[uuid.UUID]]:
    found: dict[tuple[str, str], list[uuid.UUID]] = {}
    words = {Fate.SENT: "sent", Fate.UNKNOWN: "unknown", Fate.LATER: "failed", Fate.REFUSED: "failed"}
    for leased, _, outcome in results:
        found.setdefault((words[outcome.fate], outcome.detail[:200]), []).append(leased.id)
    return found


def _tries(cursor: Any, leased: Leased) -> int:
    """Which attempt of the present sending it is, from 1."""
    cursor.execute(_EARLIER, [leased.reminder_id, leased.channel, leased.attempt])
    return leased.attempt - int(cursor.fetchone()[0])


def _following(
    leased: Leased, started: Started, outcome: Outcome, tries: int, now: datetime
) -> tuple[uuid.UUID, str, int, datetime] | None:
    """The next attempt: the same channel after a pause, else the next one at once (0: its own next), else none."""
    if outcome.fate is Fate.LATER and tries < ATTEMPTS:
        pause = _FIRST_PAUSE * 2 ** (tries - 1)
        pause *= random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries, guards nothing
        try_at = now + max(pause, outcome.wait or pause)
        if try_at < started.matter.expires_at:
            return leased.reminder_id, leased.channel, leased.attempt + 1, try_at
    following = channels.after(leased.channel, started.channels)
    return (leased.reminder_id, following, 0, now) if following else None
