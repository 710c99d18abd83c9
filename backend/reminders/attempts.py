"""Adds the next attempt of a reminder through a channel: after a failure, by another way, or as one more word."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from backend.reminders import batches

# Only what is still to be told, or about safety and told one way already; and never beside one that is on its way.
_ADD = """
INSERT INTO reminders_delivery
  (id, reminder_id, person_id, clinic_id, reminder_class, channel, attempt, status, try_at, error,
   created_at, changed_at)
SELECT v.id, r.id, r.person_id, r.clinic_id, r.reminder_class, v.channel,
       1 + coalesce((SELECT max(d.attempt) FROM reminders_delivery d
                     WHERE d.reminder_id = r.id AND d.channel = v.channel), 0),
       'pending', v.try_at, '', %(now)s, %(now)s
FROM unnest(%(ids)s::uuid[], %(reminders)s::uuid[], %(channels)s::text[], %(tries)s::timestamptz[])
  AS v(id, reminder_id, channel, try_at)
JOIN reminders_reminder r ON r.id = v.reminder_id
  AND (r.status = 'due' OR (r.status = 'sent' AND r.reminder_class = 'safety'))
WHERE NOT EXISTS (SELECT FROM reminders_delivery d WHERE d.reminder_id = r.id AND d.channel = v.channel
                  AND d.status IN ('pending', 'leased', 'sending'))
ON CONFLICT (reminder_id, channel, attempt) DO NOTHING
RETURNING reminder_id
"""


class Attempt(NamedTuple):
    """A reminder leaves through a channel, not before an instant."""

    reminder_id: uuid.UUID
    channel: str
    try_at: datetime


def add(cursor: Any, wanted: Sequence[Attempt], *, now: datetime) -> int:
    """Adds them, inside the caller's transaction; how many were added."""
    if not wanted:
        return 0
    values = {
        "now": now,
        "ids": batches.ids(len(wanted), now=now),
        "reminders": [each.reminder_id for each in wanted],
        "channels": [str(each.channel) for each in wanted],
        "tries": [each.try_at for each in wanted],
    }
    return len(batches.rows(cursor, _ADD, values))
