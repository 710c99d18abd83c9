"""One more word, once, when nobody answered: the reminder is due again and leaves by the way that worked."""

import uuid
from datetime import datetime, time
from typing import Any, NamedTuple

from django.db import connections

from backend.accounts import access
from backend.reminders import channels, verdicts

BATCH = 1000

# The first word may have left late; the nudge waits as long after it as it was to wait.
_LOOK = """
SELECT r.id, r.status, r.due_at, r.send_at, r.expires_at, r.person_id, r.clinic_id, r.purpose, r.reminder_class,
       rule.rrule, rule.start_local, rule.anchor_at, rule.offsets::text, rule.time_zone, rule.home_zone,
       rule.quiet_from, rule.quiet_until, rule.window_minutes, ARRAY(SELECT jsonb_array_elements_text(rule.channels)),
       rule.daily_cap, rule.nudge_minutes, rule.muted_at, rule.paused_from_at, rule.paused_until_at,
       r.unanswered_since_at, rule.ended_at,
       (SELECT d.channel FROM reminders_delivery d
        WHERE d.reminder_id = r.id AND d.channel <> 'inbox' AND d.status IN ('sent', 'delivered', 'opened', 'unknown')
        ORDER BY d.changed_at DESC LIMIT 1)
FROM reminders_reminder r JOIN reminders_rule rule ON rule.id = r.rule_id
WHERE r.status = 'sent' AND r.nudge_at <= %(now)s
  AND r.sent_at + make_interval(mins => coalesce(rule.nudge_minutes, 0)) <= %(now)s
ORDER BY r.nudge_at LIMIT %(most)s FOR NO KEY UPDATE OF r SKIP LOCKED
"""

# `nudge_at` goes in the same transaction, so it comes once, also under two beats.
_NUDGE = """
WITH nudged AS (
  UPDATE reminders_reminder r SET nudge_at = NULL, updated_at = %(now)s,
    status = CASE WHEN v.channel <> '' THEN 'due' ELSE r.status END
  FROM unnest(%(ids)s::uuid[], %(channels)s::text[]) AS v(id, channel)
  WHERE r.id = v.id RETURNING r.id, r.person_id, r.clinic_id, r.reminder_class, v.channel)
INSERT INTO reminders_delivery
  (id, reminder_id, person_id, clinic_id, reminder_class, channel, attempt, status, try_at, error,
   created_at, changed_at)
SELECT gen_random_uuid(), n.id, n.person_id, n.clinic_id, n.reminder_class, n.channel,
       1 + coalesce((SELECT max(d.attempt) FROM reminders_delivery d
                     WHERE d.reminder_id = n.id AND d.channel = n.channel), 0),
       'pending', %(now)s, '', %(now)s, %(now)s
FROM nudged n WHERE n.channel <> ''
"""


class _Row(NamedTuple):
    """A reminder that was sent and not answered, with what its rule says."""

    id: uuid.UUID
    status: str
    due_at: datetime
    send_at: datetime
    expires_at: datetime
    person_id: uuid.UUID
    clinic_id: uuid.UUID | None
    purpose: str
    reminder_class: str
    rrule: str | None
    start_local: datetime | None
    anchor_at: datetime | None
    offsets: Any
    time_zone: str
    home_zone: str
    quiet_from: time | None
    quiet_until: time | None
    window_minutes: int
    channels: list[str]
    daily_cap: int | None
    nudge_minutes: int | None
    muted_at: datetime | None
    paused_from_at: datetime | None
    paused_until_at: datetime | None
    unanswered_since_at: datetime | None
    ended_at: datetime | None
    worked: str | None

    @property
    def way(self) -> str:
        """The channel that took the first word, if it is still wanted; empty when there is none."""
        return self.worked if self.worked in self.channels and self.worked in channels.OUTWARD else ""


def nudge(*, now: datetime) -> int:
    """Sends each unanswered reminder once more whose time for it has come; the number of nudges.

    Asked again now: what was switched off, ended or has become quiet since is let be. Rows that someone answers in this
    moment are skipped.
    """
    with access.dispatching("nudge"), connections["dispatch"].cursor() as cursor:
        cursor.execute(_LOOK, {"now": now, "most": BATCH})
        rows = [_Row(*row) for row in cursor.fetchall()]
        if not rows:
            return 0
        ways = [row.way if row.ended_at is None and verdicts.may_nudge(row, now) else "" for row in rows]
        cursor.execute(_NUDGE, {"now": now, "ids": [row.id for row in rows], "channels": ways})
        return int(cursor.rowcount)
