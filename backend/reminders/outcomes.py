"""Writes down what became of deliveries: sent, to be tried again, on to the next channel, or parked for staff."""

import random
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from backend.reminders import attempts, batches, channels, figures
from backend.reminders.attempts import Attempt
from backend.reminders.channels.base import Fate, Outcome
from backend.reminders.codes import Purpose, ReminderClass
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

_WORDS = {Fate.SENT: "sent", Fate.UNKNOWN: "unknown", Fate.LATER: "failed", Fate.REFUSED: "failed"}

Result = tuple[Leased, Started, Outcome]

# `unknown` too: a worker that was only slow may still say what became of it.
_DELIVERIES = """
UPDATE reminders_delivery d SET status = v.status, error = v.error, lease_token = NULL, lease_ends_at = NULL,
  changed_at = %(now)s
FROM unnest(%(ids)s::uuid[], %(statuses)s::text[], %(errors)s::text[]) AS v(id, status, error)
WHERE d.id = v.id AND d.lease_token = %(token)s AND d.status IN ('sending', 'unknown')
RETURNING d.id
"""

# Patients know of it since it was claimed: that it left is no change of theirs, that it may not have arrived is one.
_SENT = """
UPDATE reminders_reminder r SET status = 'sent', reason = %(reason)s, sent_at = coalesce(r.sent_at, %(now)s),
  change_number = CASE WHEN r.reason = %(reason)s THEN r.change_number END, updated_at = %(now)s
FROM unnest(%(reminders)s::uuid[]) AS v(id)
WHERE r.id = v.id AND (r.status = 'due' OR (r.status = 'sent' AND r.reason = 'unconfirmed'))
RETURNING r.reminder_class, r.send_at, r.sent_at
"""

# One that was sent before, and now again, was told all the same; one in doubt stays so.
_FAILED = """
UPDATE reminders_reminder SET change_number = NULL, updated_at = %(now)s,
  status = CASE WHEN sent_at IS NULL THEN 'failed' ELSE 'sent' END,
  reason = CASE WHEN sent_at IS NULL THEN 'undeliverable'
    WHEN EXISTS (SELECT FROM reminders_delivery d WHERE d.reminder_id = reminders_reminder.id AND d.status = 'unknown')
    THEN 'unconfirmed' ELSE '' END
WHERE id = ANY(%(reminders)s) AND status = 'due' AND NOT EXISTS (
  SELECT FROM reminders_delivery d
  WHERE d.reminder_id = reminders_reminder.id AND d.status IN ('pending', 'leased', 'sending'))
"""


def finish(cursor: Any, *, results: Sequence[Result], token: uuid.UUID, now: datetime) -> None:
    """Writes the outcomes of one hand-over, inside the caller's transaction, which holds their reminders."""
    if not results:
        return
    written = {
        "now": now,
        "token": token,
        "ids": [leased.id for leased, _, _ in results],
        "statuses": [_WORDS[outcome.fate] for _, _, outcome in results],
        "errors": [outcome.detail[:200] for _, _, outcome in results],
    }
    ours = {id for (id,) in batches.rows(cursor, _DELIVERIES, written)}
    again: list[Attempt] = []
    hopeless: list[uuid.UUID] = []
    for leased, started, outcome in results:
        if outcome.fate in {Fate.LATER, Fate.REFUSED} and leased.id in ours:
            following = _following(leased, started, outcome, _tries(cursor, leased), now)
            if following:
                again.append(following)
                figures.add("retries", following.channel)
            else:
                hopeless.append(leased.reminder_id)
                figures.add("failed", leased.channel)
    figures.handed((leased.channel, outcome.fate.value) for leased, _, outcome in results)
    for fate, reason in ((Fate.SENT, ""), (Fate.UNKNOWN, "unconfirmed")):
        if handed := {each.reminder_id for each, _, outcome in results if outcome.fate is fate}:
            marked = {"now": now, "reason": reason, "reminders": list(handed)}
            figures.left(batches.rows(cursor, _SENT, marked), now=now)
    attempts.add(cursor, again, now=now)
    if hopeless:
        cursor.execute(_FAILED, {"reminders": hopeless, "now": now})


def _tries(cursor: Any, leased: Leased) -> int:
    """Which attempt of the present sending it is, from 1."""
    cursor.execute(_EARLIER, [leased.reminder_id, leased.channel, leased.attempt])
    return leased.attempt - int(cursor.fetchone()[0])


def _following(leased: Leased, started: Started, outcome: Outcome, tries: int, now: datetime) -> Attempt | None:
    """The next attempt: the same channel after a pause, else the next channel at once, else none.

    About safety all channels were tried at once, so none follows.
    """
    if outcome.fate is Fate.LATER and tries < ATTEMPTS:
        pause = _FIRST_PAUSE * 2 ** (tries - 1)
        pause *= random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries, guards nothing
        try_at = now + max(pause, outcome.wait or pause)
        if try_at < started.matter.expires_at:
            return Attempt(leased.reminder_id, leased.channel, try_at)
    urgent = Purpose(started.matter.purpose).facts.reminder_class == ReminderClass.SAFETY
    following = None if urgent else channels.after(leased.channel, started.channels)
    return Attempt(leased.reminder_id, following, now) if following else None
