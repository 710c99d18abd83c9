"""While a channel's provider is away its deliveries wait; what cannot wait so long leaves by the next channel."""

from datetime import datetime, timedelta
from typing import Any

from backend.accounts import access
from backend.reminders import attempts, batches, channels
from backend.reminders.attempts import Attempt

# Ours: so long a reminder may wait for its provider, and so much of its window must be left for waiting at all.
PATIENCE = timedelta(minutes=10)
NEAR_ITS_END = timedelta(minutes=15)
_AT_ONCE = 1_000

# About safety all channels were tried at once. What was given back waits with the provider's word in `error`.
_WAITING = """
SELECT d.id, d.reminder_id, rule.channels::text
FROM reminders_delivery d JOIN reminders_reminder r ON r.id = d.reminder_id
  JOIN reminders_rule rule ON rule.id = r.rule_id
WHERE d.status = 'pending' AND d.channel = %(channel)s AND d.error <> '' AND d.try_at > %(now)s
  AND d.reminder_class <> 'safety' AND r.status = 'due'
  AND (d.created_at <= %(long_ago)s OR r.expires_at <= %(soon)s)
ORDER BY d.id LIMIT %(most)s FOR UPDATE OF d SKIP LOCKED
"""

_GIVEN_UP = """
UPDATE reminders_delivery SET status = 'failed', changed_at = %(now)s WHERE id = ANY(%(ids)s)
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
    with access.dispatching("pass on"), batches.cursor() as cursor:
        found = batches.rows(cursor, _WAITING, asked)
        going = [
            (id, Attempt(reminder, following, now))
            for id, reminder, wanted in found
            if (following := channels.after(channel, channels.read(wanted))) is not None
        ]
        batches.run(cursor, _GIVEN_UP, {"now": now, "ids": [id for id, _ in going]})
        return attempts.add(cursor, [attempt for _, attempt in going], now=now)
