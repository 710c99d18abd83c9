"""One more word, once, when nobody answered: the reminder is due again and leaves by the way that worked."""

from datetime import datetime

from backend.accounts import access
from backend.reminders import attempts, batches, channels, due_rows, verdicts
from backend.reminders.attempts import Attempt
from backend.reminders.due_rows import DueRow

BATCH = 1000

# The first word may have left late; the nudge waits as long after it as it was to wait.
_TAKE = """
SELECT r.ctid::text, r.id,
       (SELECT d.channel FROM reminders_delivery d
        WHERE d.reminder_id = r.id AND d.channel <> 'inbox' AND d.status IN ('sent', 'delivered', 'opened', 'unknown')
        ORDER BY d.changed_at DESC LIMIT 1)
FROM reminders_reminder r JOIN reminders_rule rule ON rule.id = r.rule_id
WHERE r.to_nudge_at <= %(now)s
  AND r.sent_at + make_interval(mins => coalesce(rule.nudge_minutes, 0)) <= %(now)s
ORDER BY r.to_nudge_at LIMIT %(most)s FOR NO KEY UPDATE OF r SKIP LOCKED
"""

# `nudge_at` goes in the same transaction, so it comes once, also under two beats.
_NUDGE = """
UPDATE reminders_reminder SET nudge_at = NULL, updated_at = %(now)s,
  status = CASE WHEN id = ANY(%(nudged)s) THEN 'due' ELSE status END
WHERE id = ANY(%(ids)s)
"""


def nudge(*, now: datetime) -> int:
    """Sends each unanswered reminder once more whose time for it has come; the number of nudges.

    Asked again now: what was switched off, ended or has become quiet since is let be. Rows that someone answers in this
    moment are skipped.
    """
    with access.dispatching("nudge"), batches.cursor() as cursor:
        taken = batches.rows(cursor, _TAKE, {"now": now, "most": BATCH})
        if not taken:
            return 0
        worked = {id: channel for _, id, channel in taken}
        rows = due_rows.read(cursor, [place for place, _, _ in taken])
        wanted = [Attempt(row.id, way, now) for row in rows if (way := _way(row, worked[row.id], now))]
        nudged = [attempt.reminder_id for attempt in wanted]
        batches.run(cursor, _NUDGE, {"now": now, "ids": list(worked), "nudged": nudged})
        return attempts.add(cursor, wanted, now=now)


def _way(row: DueRow, worked: str | None, now: datetime) -> str | None:
    """The channel that took the first word, if it is still wanted and a word makes sense now."""
    if row.ended_at is not None or not verdicts.may_nudge(row, now):
        return None
    return worked if worked in row.channels and worked in channels.OUTWARD else None
