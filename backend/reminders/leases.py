"""Who holds a delivery: leasing, starting, finishing and recovering, each a transaction of the dispatcher.

Every change names the lease's token. Whoever lost the lease, by a pause or a crash, changes nothing any more.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connections

from backend.accounts import access
from backend.reminders import channels, figures
from backend.reminders.codes import ReminderClass
from backend.reminders.letters import Matter

LEASE = timedelta(seconds=120)

_LEASE = """
WITH picked AS (
  SELECT id FROM reminders_delivery
  WHERE status = 'pending' AND reminder_class = %(class)s AND try_at <= %(before)s
  ORDER BY try_at LIMIT %(most)s FOR UPDATE SKIP LOCKED)
UPDATE reminders_delivery d
SET status = 'leased', lease_token = %(token)s, lease_ends_at = %(until)s, changed_at = %(now)s
FROM picked WHERE d.id = picked.id
RETURNING d.id, d.reminder_id, d.channel, d.attempt
"""

# The reminders are locked before their deliveries are touched: the rooms above settle them in the order counter, rule,
# reminder and never touch a delivery, so the two cannot wait for each other.
_LOOK = """
SELECT d.id,
       CASE WHEN r.about_type = 'escalation'  -- a chain that somebody else has answered is over for all
         AND EXISTS (SELECT FROM reminders_escalation e WHERE e.id = r.about_id AND e.next_at IS NULL) THEN 'done'
       ELSE r.status END,
       r.expires_at <= %(now)s, r.id, r.person_id, r.clinic_id, r.purpose, r.due_at, r.expires_at,
       rule.anchor_at, rule.id, rule.version, ARRAY(SELECT jsonb_array_elements_text(rule.channels))
FROM reminders_delivery d JOIN reminders_reminder r ON r.id = d.reminder_id
  JOIN reminders_rule rule ON rule.id = r.rule_id
WHERE d.id = ANY(%(ids)s) AND d.status = 'leased' AND d.lease_token = %(token)s
ORDER BY r.id FOR NO KEY UPDATE OF r
"""

_START = """
UPDATE reminders_delivery SET status = 'sending', lease_ends_at = %(until)s, changed_at = %(now)s
WHERE id = ANY(%(ids)s) AND status = 'leased' AND lease_token = %(token)s RETURNING id
"""

_WITHDRAW = """
UPDATE reminders_delivery SET status = 'failed', error = %(error)s, lease_token = NULL, lease_ends_at = NULL,
  changed_at = %(now)s
WHERE id = ANY(%(ids)s) AND lease_token = %(token)s
"""

_EXPIRE = """
UPDATE reminders_reminder r SET change_number = NULL, updated_at = %(now)s,
  status = CASE WHEN r.sent_at IS NULL THEN 'expired' ELSE 'sent' END,
  reason = CASE WHEN r.sent_at IS NULL THEN 'window_closed' ELSE '' END
FROM reminders_delivery d WHERE d.id = ANY(%(ids)s) AND r.id = d.reminder_id AND r.status = 'due'
"""

_RELEASE = """
UPDATE reminders_delivery SET status = 'pending', try_at = %(try_at)s, lease_token = NULL, lease_ends_at = NULL,
  error = %(error)s, changed_at = %(now)s
WHERE id = ANY(%(ids)s) AND lease_token = %(token)s AND status = ANY(%(held)s)
"""

_RECOVER = """
UPDATE reminders_delivery SET status = 'pending', lease_token = NULL, lease_ends_at = NULL, changed_at = %(now)s
WHERE lease_ends_at < %(now)s AND (status = 'leased' OR (status = 'sending' AND channel = ANY(%(resent)s)))
"""

# The token stays: should the one who sent it come back after all, its word still counts.
_PARK = """
WITH parked AS (
  UPDATE reminders_delivery SET status = 'unknown', error = 'lease expired', changed_at = %(now)s
  WHERE lease_ends_at < %(now)s AND status = 'sending' RETURNING reminder_id, channel)
UPDATE reminders_reminder r SET status = 'sent', reason = 'unconfirmed', sent_at = coalesce(r.sent_at, %(now)s),
  change_number = NULL, updated_at = %(now)s
FROM parked WHERE r.id = parked.reminder_id AND r.status = 'due' RETURNING parked.channel
"""


@dataclass(frozen=True, slots=True)
class Leased:
    """A delivery in hand."""

    id: uuid.UUID
    reminder_id: uuid.UUID
    channel: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Started:
    """A delivery whose `sending` is about to be committed, with what its letter is made of."""

    id: uuid.UUID
    matter: Matter
    channels: tuple[str, ...]


def lease(
    *, reminder_class: ReminderClass, most: int, token: uuid.UUID, before: datetime, now: datetime
) -> list[Leased]:
    """Takes up to `most` pending deliveries that were to leave before an instant; nobody else gets them meanwhile."""
    values: dict[str, Any] = {
        "class": reminder_class,
        "before": before,
        "most": most,
        "token": token,
        "until": now + LEASE,
        "now": now,
    }
    with access.dispatching("lease"), connections["dispatch"].cursor() as cursor:
        cursor.execute(_LEASE, values)
        return [Leased(*row) for row in cursor.fetchall()]


def start(cursor: Any, *, ids: Sequence[uuid.UUID], token: uuid.UUID, now: datetime) -> list[Started]:
    """Marks deliveries as `sending`, whose reminders, looked at under lock, are still to be sent.

    What was settled, answered or withdrawn since is given up; what lies past its window expires.
    """
    values = {"ids": list(ids), "token": token, "now": now, "until": now + LEASE}
    cursor.execute(_LOOK, values)
    rows = cursor.fetchall()
    late = [id for id, status, past, *_ in rows if status == "due" and past]
    needless = [id for id, status, *_ in rows if status != "due"]
    if late:
        cursor.execute(_EXPIRE, {**values, "ids": late})
        figures.add("expired", "window_closed", cursor.rowcount)
        cursor.execute(_WITHDRAW, {**values, "ids": late, "error": "window closed"})
    if needless:
        cursor.execute(_WITHDRAW, {**values, "ids": needless, "error": "no longer due"})
    cursor.execute(_START, {**values, "ids": [row[0] for row in rows if row[0] not in {*late, *needless}]})
    started = {row[0] for row in cursor.fetchall()}
    return [Started(row[0], Matter(*row[3:12]), tuple(row[12])) for row in rows if row[0] in started]


def release(
    *,
    ids: Collection[uuid.UUID],
    token: uuid.UUID,
    try_at: datetime,
    now: datetime,
    error: str = "",
    held: Sequence[str] = ("leased",),
) -> None:
    """Gives deliveries back, to be tried from `try_at` on."""
    values: dict[str, Any] = {
        "ids": list(ids),
        "token": token,
        "try_at": try_at,
        "error": error,
        "now": now,
        "held": list(held),
    }
    with access.dispatching("release"), connections["dispatch"].cursor() as cursor:
        cursor.execute(_RELEASE, values)


def recover(*, now: datetime) -> int:
    """Takes back expired leases: what was not begun goes again; what was begun goes again only with a provider's key,
    else it is parked as `unknown`, for staff to see."""
    resent = [name for name, channel in channels.OUTWARD.items() if channel.honours_key]
    with access.dispatching("recover"), connections["dispatch"].cursor() as cursor:
        cursor.execute(_RECOVER, {"now": now, "resent": resent})
        recovered = int(cursor.rowcount)
        cursor.execute(_PARK, {"now": now})
        figures.handed((channel, "unknown") for (channel,) in cursor.fetchall())
        return recovered
