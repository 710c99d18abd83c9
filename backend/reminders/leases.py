"""Who holds a delivery: leasing, starting, finishing and recovering, each a transaction of the dispatcher.

Every change names the lease's token. Whoever lost the lease, by a pause or a crash, changes nothing any more.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connections

from backend.accounts import access
from backend.reminders import batches, channels, contents, figures
from backend.reminders.codes import ReminderClass
from backend.reminders.contents import Content
from backend.reminders.letters import Matter

LEASE = timedelta(seconds=120)

# Each class and channel is a lane of its own: a mail server that is slow holds up no notification. One look for each
# lane (LIMIT): as EXISTS it becomes a join that reads the whole backlog.
_LANES = """
SELECT lane.class, lane.channel FROM unnest(%(classes)s::text[], %(channels)s::text[], %(befores)s::timestamptz[])
  WITH ORDINALITY AS lane(class, channel, before, place)
CROSS JOIN LATERAL (
  SELECT FROM reminders_delivery d WHERE d.status = 'pending' AND d.reminder_class = lane.class
    AND d.channel = lane.channel AND d.try_at <= lane.before LIMIT 1) AS first
ORDER BY lane.place
"""

# By their places in the table (ctid): the rows are locked, so they stay there.
_LEASE = """
WITH picked AS (
  SELECT ctid AS place FROM reminders_delivery
  WHERE status = 'pending' AND reminder_class = %(class)s AND channel = %(channel)s AND try_at <= %(before)s
  ORDER BY try_at LIMIT %(most)s FOR UPDATE SKIP LOCKED)
UPDATE reminders_delivery d
SET status = %(status)s, lease_token = %(token)s, lease_ends_at = %(until)s, changed_at = %(now)s
FROM picked WHERE d.ctid = picked.place
RETURNING d.id, d.reminder_id, d.channel, d.attempt
"""

# Under lock, so that what is settled in this moment is either seen here or comes after the hand-over. The rooms above
# lock counter, rule, reminder and never a delivery, so the two cannot wait for each other.
_LOOK = """
SELECT d.id,
       CASE WHEN r.about_type = 'escalation'  -- a chain that somebody else has answered is over for all
         AND EXISTS (SELECT FROM reminders_escalation e WHERE e.id = r.about_id AND e.next_at IS NULL) THEN 'done'
       ELSE r.status END,
       r.expires_at <= %(now)s, r.id, r.person_id, r.clinic_id, r.purpose, r.due_at, r.expires_at,
       rule.anchor_at, rule.id, rule.version, rule.channels::text
FROM reminders_delivery d JOIN reminders_reminder r ON r.id = d.reminder_id
  JOIN reminders_rule rule ON rule.id = r.rule_id
WHERE d.id = ANY(%(ids)s) AND d.status = ANY(%(held)s) AND d.lease_token = %(token)s
ORDER BY r.id FOR NO KEY UPDATE OF r
"""

_HOLD = "SELECT id FROM reminders_reminder WHERE id = ANY(%(ids)s) ORDER BY id FOR NO KEY UPDATE"

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

# What will be parked: reminders before deliveries, and in the order of their ids, as everywhere.
_HOLD_LOST = """
SELECT id FROM reminders_reminder WHERE id IN (
  SELECT reminder_id FROM reminders_delivery
  WHERE lease_ends_at < %(now)s AND status = 'sending' AND channel <> ALL(%(resent)s))
ORDER BY id FOR NO KEY UPDATE
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

# A nudge, and the other channels of what is about safety, leave for a reminder that was sent already.
_TO_BE_SENT = frozenset({"due", "sent"})


class Leased(NamedTuple):
    """A delivery in hand, with what its letter is made of when the look found it still to be sent."""

    id: uuid.UUID
    reminder_id: uuid.UUID
    channel: str
    attempt: int
    content: Content | None


class Started(NamedTuple):
    """A delivery whose `sending` is about to be committed: its matter, and the channels that its person wants now."""

    id: uuid.UUID
    matter: Matter
    channels: Sequence[str]


def lanes(*, before: Mapping[ReminderClass, datetime]) -> list[tuple[ReminderClass, str]]:
    """The class and channel of everything that was to leave before the instants given, the most urgent class first."""
    asked = [(each, name, at) for each, at in before.items() for name in channels.OUTWARD]
    values = {
        "classes": [each.value for each, _, _ in asked],
        "channels": [name for _, name, _ in asked],
        "befores": [at for _, _, at in asked],
    }
    with access.dispatching("lease"), batches.cursor() as cursor:
        return [(ReminderClass(each), name) for each, name in batches.rows(cursor, _LANES, values)]


def lease(
    *, reminder_class: ReminderClass, channel: str, most: int, token: uuid.UUID, before: datetime, now: datetime
) -> tuple[list[Leased], list[Started]]:
    """Takes up to `most` pending deliveries that were to leave before an instant; nobody else gets them meanwhile.

    Where the provider honours their key they are `sending` at once, and looked at as `start` does; otherwise each is
    started by itself, and none is yet.
    """
    keyed = channels.OUTWARD[channel].honours_key
    values: dict[str, Any] = {
        "class": reminder_class.value,
        "channel": channel,
        "before": before,
        "most": most,
        "token": token,
        "status": "sending" if keyed else "leased",
        "until": now + LEASE,
        "now": now,
    }
    with access.dispatching("lease"), batches.cursor() as cursor:
        leased = batches.rows(cursor, _LEASE, values)
        if not leased:
            return [], []
        ids = [id for id, *_ in leased]
        started = _look(cursor, ids, token=token, now=now, held="sending") if keyed else []
        found = contents.read(cursor, ids=ids, token=token, now=now)
    return [Leased._make((*row, found.get(row[0]))) for row in leased], started


def hold(cursor: Any, reminder_ids: Collection[uuid.UUID]) -> None:
    """Locks reminders in the order of their ids, for who then changes some and looks at others.

    What is about safety leaves through all channels at once, so two workers may want the same two reminders.
    """
    batches.rows(cursor, _HOLD, {"ids": list(reminder_ids)})


def start(cursor: Any, *, ids: Sequence[uuid.UUID], token: uuid.UUID, now: datetime) -> list[Started]:
    """Marks deliveries as `sending`, whose reminders, looked at under lock, are still to be sent.

    What was settled, answered or withdrawn since is given up; what lies past its window expires.
    """
    found = _look(cursor, ids, token=token, now=now, held="leased")
    values = {"ids": [each.id for each in found], "token": token, "now": now, "until": now + LEASE}
    started = {id for (id,) in batches.rows(cursor, _START, values)} if found else set()
    return [each for each in found if each.id in started]


def _look(cursor: Any, ids: Sequence[uuid.UUID], *, token: uuid.UUID, now: datetime, held: str) -> list[Started]:
    values: dict[str, Any] = {"ids": list(ids), "token": token, "now": now, "held": [held]}
    rows = batches.rows(cursor, _LOOK, values)
    late = {id for id, status, past, *_ in rows if status == "due" and past}
    needless = {id for id, status, *_ in rows if status not in _TO_BE_SENT}
    if late:
        cursor.execute(_EXPIRE, {"now": now, "ids": list(late)})
        figures.add("expired", "window_closed", cursor.rowcount)
        cursor.execute(_WITHDRAW, {"token": token, "now": now, "ids": list(late), "error": "window closed"})
    if needless:
        cursor.execute(_WITHDRAW, {"token": token, "now": now, "ids": list(needless), "error": "no longer due"})
    return [
        Started(row[0], Matter._make(row[3:12]), channels.read(row[12]))
        for row in rows
        if row[0] not in late and row[0] not in needless
    ]


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
        cursor.execute(_HOLD_LOST, {"now": now, "resent": resent})
        cursor.execute(_RECOVER, {"now": now, "resent": resent})
        recovered = int(cursor.rowcount)
        cursor.execute(_PARK, {"now": now})
        figures.handed((channel, "unknown") for (channel,) in cursor.fetchall())
        return recovered
