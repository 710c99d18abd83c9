"""A reminder with what its rule says, as the dispatcher reads and judges it."""

import uuid
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple

from backend.reminders import batches, channels
from backend.reminders.codes import Status

_ROWS = """
SELECT r.id, r.person_id, r.clinic_id, r.status, r.purpose, r.reminder_class, r.due_at, r.send_at,
       r.expires_at, r.unanswered_since_at, rule.rrule, rule.start_local, rule.anchor_at, rule.time_zone,
       rule.home_zone, rule.quiet_from, rule.quiet_until, rule.window_minutes, rule.channels::text,
       rule.settled_until_at, rule.ended_at, rule.daily_cap, rule.nudge_minutes, rule.muted_at, rule.paused_from_at,
       rule.paused_until_at, r.ctid::text
FROM reminders_reminder r JOIN reminders_rule rule ON rule.id = r.rule_id
WHERE r.ctid = ANY(%(places)s::text[]::tid[])
"""


class DueRow(NamedTuple):
    """A due reminder with what its rule says; it serves `schedule` and `verdicts` as a rule does.

    `place` is where it lies in its table (ctid), for whoever holds it: there it is found without an index.
    """

    id: uuid.UUID
    person_id: uuid.UUID
    clinic_id: uuid.UUID | None
    status: str
    purpose: str
    reminder_class: str
    due_at: datetime
    send_at: datetime
    expires_at: datetime
    unanswered_since_at: datetime | None
    rrule: str | None
    start_local: datetime | None
    anchor_at: datetime | None
    time_zone: str
    home_zone: str
    quiet_from: time | None
    quiet_until: time | None
    window_minutes: int
    channels_text: str
    settled_until_at: datetime | None
    ended_at: datetime | None
    daily_cap: int | None
    nudge_minutes: int | None
    muted_at: datetime | None
    paused_from_at: datetime | None
    paused_until_at: datetime | None
    place: str = ""

    @property
    def offsets(self) -> list[dict[str, Any]]:
        """None: around an anchor all reminders exist from the start."""
        return []

    @property
    def facts(self) -> tuple[Any, ...]:
        """All that is said about it but which it is and whose: rows of the same facts fare alike, caps aside."""
        return (self.clinic_id is None, *tuple(self)[_FACTS])

    @property
    def channels(self) -> list[str]:
        """The channels that the person wants for it."""
        return channels.read(self.channels_text)

    def following_after(self, now: datetime) -> datetime | None:
        """Strictly after which instant its series goes on: an outage yields one late reminder, not a flood.

        None where nothing follows: it has ended, has an anchor, or was put off and so was followed already.
        """
        if self.status != Status.PLANNED or self.ended_at is not None or self.rrule is None:
            return None
        after = max(now, self.due_at)
        if self.settled_until_at is not None:
            after = max(after, self.settled_until_at - timedelta(microseconds=1))
        return after


_FACTS = slice(DueRow._fields.index("status"), DueRow._fields.index("place"))


def read(cursor: Any, places: Sequence[str]) -> list[DueRow]:
    """The reminders at these places, which the caller's transaction holds."""
    return [DueRow._make(row) for row in batches.rows(cursor, _ROWS, {"places": list(places)})]
