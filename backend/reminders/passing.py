"""While a channel's provider is away its deliveries wait; what cannot wait so long leaves by the next channel."""

from datetime import datetime, timedelta
from typing import Any

from django.db import connections

from backend.accounts import access
from backend.reminders import channels

# Ours: so long a reminder may wait for its provider, and so much of its window must be left for waiting at all.
PATIENCE = timedelta(minutes=10)
NEAR_ITS_END = timedelta(minutes=15)
_AT_ONCE = 1_000

# About safety all channels were tried at once. What was given back waits with the provider's word in `error`.
_WAITING = """
SELECT d.id, ARRAY(SELECT jsonb_array_elements_text(rule.channels))
FROM reminders_delivery d JOIN reminders_reminder r ON r.id = d.reminder_id
  JOIN reminders_rule rule ON rule.id = r.rule_id
WHERE d.status = 'pending' AND d.channel = %(channel)s AND d.error <> '' AND d.try_at > %(now)s
  AND d.reminder_class <> 'safety' AND r.status = 'due'
  AND (d.created_at <= %(long_ago)s OR r.expires_at <= %(soon)s)
ORDER BY d.id LIMIT %(most)s FOR UPDATE OF d SKIP LOCKED
"""

_HANDED_ON = """
WITH given_up AS (
  UPDATE reminders_delivery d SET status = 'failed', changed_at = %(now)s
  FROM unnest(%(ids)s::uuid[], %(channels)s::text[]) AS v(id, channel) WHERE d.id = v.id
  RETURNING d.reminder_id, d.person_id, d.clinic_id, d.reminder_class, v.channel)
INSERT INTO reminders_delivery
  (id, reminder_id, person_id, clinic_id, reminder_class, channel, attempt, status, try_at, error,
   created_at, changed_at)
SELECT gen_random_uuid(), g.reminder_id, g.person_id, g.clinic_id, g.reminder_class, g.channel,
       1 + coalesce((SELECT max(d.attempt) FROM reminders_delivery d
                     WHERE d.reminder_id = g.reminder_id AND d.channel = g.channel), 0),
       'pending', %(now)s, '', %(now)s, %(now)s
FROM given_up g
"""


def pass_on(*, channel: str, now: datetime) -> int:
    """The channel's provider is away: what cannot wait any longer leaves by the next channel; how many did."""
    asked: dict[str, Any] = {
        "channel": channel,
        "now": now,
        "long_ago": now - PATIENCE,
        "soon": now + NEAR_ITS_END,
        "most": _AT_ONCE,
    }
    with access.dispatching("pass on"), connections["dispatch"].cursor() as cursor:
        cursor.execute(_WAITING, asked)
        found = [(id, channels.after(channel, wanted)) for id, wanted in cursor.fetchall()]
        going = [(id, name) for id, name in found if name is not None]
        if going:
            ids, names = zip(*going, strict=True)
            cursor.execute(_HANDED_ON, {"now": now, "ids": list(ids), "channels": list(names)})
        return len(going)
