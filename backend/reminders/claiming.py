"""Claims what is due: the ledger's row, its first delivery and the next occurrence, in one transaction."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import filterfalse
from typing import Any

import structlog
from django.db import connections

from backend.accounts import access
from backend.reminders import batches, due_rows, marking, schedule, verdicts
from backend.reminders.codes import BY_URGENCY, ReminderClass, Status
from backend.reminders.due_rows import DueRow
from backend.reminders.marking import Decision
from backend.reminders.verdicts import Day, Tally

log = structlog.get_logger(__name__)

BATCH = 500
# Any constant will do, so long as nobody else locks with it: the room's first letters.
_LOCK_SPACE = int.from_bytes(b"remi")
# The lower half of the people, the upper half: two claimers work side by side, and still nobody's reminders are judged
# by two at once.
_HALVES = (True, False)
# A row that throws must not stop the others, nor be tried each second.
_POISONED_FOR = timedelta(hours=1)

_ALONE = "SELECT pg_try_advisory_xact_lock(%(space)s::int, %(place)s::int)"

# Who plans holds the rows of the rule's open reminders before reading or changing anything (`ledger.lock_rules`): what
# is held is passed over, and the second statement, which begins when the rows are ours, sees the rule as it will stay.
# Halves by `<`, which PostgreSQL takes for a third of the rows, and so reads the index in its order up to the limit. A
# remainder it takes for a two-hundredth, and then sorts all that is due for each batch.
_TAKE = """
SELECT ctid::text FROM reminders_reminder
WHERE reminder_class = %(class)s AND claim_at <= %(now)s
  AND (get_byte(uuid_send(person_id), 15) < 128) = %(lower)s
ORDER BY claim_at LIMIT %(most)s FOR NO KEY UPDATE SKIP LOCKED
"""

_PUT_OFF = "UPDATE reminders_reminder SET send_at = %(until)s WHERE id = ANY(%(ids)s)"

# What counts against a person's daily cap: habits told that day, and more important ones that are planned for later.
_TOLD = """
SELECT v.place,
  (SELECT count(*) FROM reminders_reminder r
   WHERE r.person_id = v.person_id AND r.due_at >= v.from_at - interval '3 days' AND r.due_at < v.until_at
     AND r.reminder_class = 'habit'
     AND (r.status = 'due' OR (r.sent_at >= v.from_at AND r.sent_at < v.until_at)))
  + (SELECT count(*) FROM reminders_reminder r JOIN reminders_rule rule ON rule.id = r.rule_id
     WHERE r.person_id = v.person_id AND r.due_at >= v.from_at - interval '3 days' AND r.due_at < v.until_at
       AND r.status = 'planned' AND r.send_at < v.until_at AND rule.muted_at IS NULL
       AND (r.purpose = 'check_in' OR (r.purpose = 'target' AND v.purpose = 'own')))
FROM unnest(%(places)s::int[], %(people)s::uuid[], %(purposes)s::text[], %(froms)s::timestamptz[],
            %(untils)s::timestamptz[]) AS v(place, person_id, purpose, from_at, until_at)
"""


def claim(
    *,
    now: datetime,
    most: int = 100_000,
    classes: Sequence[ReminderClass] = BY_URGENCY,
    told: Callable[[int], object] = lambda claimed: None,
) -> int:
    """Claims all that is due in batches of a transaction each, safety before every other; the number of rows claimed.

    `told` hears the number so far after each round, so that workers begin while the claim goes on.

    Two claimers of one class and the same half of the people exclude each other by an advisory lock; rows that someone
    is planning anew are skipped and come with the next tick.
    """
    claimed, judges = 0, _Judges(now)
    while claimed < most:
        for reminder_class in classes:
            counts = [_claim_batch(reminder_class, lower, now, judges) for lower in _HALVES]
            claimed += sum(counts)
            if sum(counts):
                told(claimed)
            if BATCH in counts:
                break  # and look for urgent ones again before the next batch
        else:
            break
    return claimed


def _claim_batch(reminder_class: ReminderClass, lower: bool, now: datetime, judges: "_Judges") -> int:
    with access.dispatching("claim"), batches.cursor() as cursor:
        place = BY_URGENCY.index(reminder_class) * len(_HALVES) + lower
        if not batches.rows(cursor, _ALONE, {"space": _LOCK_SPACE, "place": place})[0][0]:
            return 0
        asked = {"class": reminder_class.value, "lower": lower, "now": now, "most": BATCH}
        taken = [place for (place,) in batches.rows(cursor, _TAKE, asked)]
        if taken:
            found = due_rows.read(cursor, taken)
            marking.write(cursor, judges.judge_all(cursor, found), now=now)
        return len(taken)


class _Judges:
    """Judges batches at one instant. Many reminders say the same (each evening at nine): what was judged once is known.

    What the day's number may cut is judged by itself, the most important first.
    """

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._known: dict[tuple[Any, ...], Decision] = {}

    def judge_all(self, cursor: Any, rows: Sequence[DueRow]) -> list[marking.Judged]:
        """What becomes of each of them; one that cannot be judged is put off, and the others go on."""
        judged, poisoned = [], []
        capped = sorted(filter(verdicts.is_capped, rows), key=verdicts.importance)
        tally = _tally(capped, self._now)
        for row in (*filterfalse(verdicts.is_capped, rows), *capped):
            try:
                judged.append((row, self._judge(row, tally)))
            except Exception:
                log.exception("reminder cannot be planned on", reminder=str(row.id))
                poisoned.append(row.id)
        if poisoned:
            cursor.execute(_PUT_OFF, {"until": self._now + _POISONED_FOR, "ids": poisoned})
        return judged

    def _judge(self, row: DueRow, tally: Tally) -> Decision:
        if verdicts.is_capped(row):
            return self._decide(row, tally)
        facts = row.facts
        if facts not in self._known:
            self._known[facts] = self._decide(row, tally)
        return self._known[facts]

    def _decide(self, row: DueRow, tally: Tally) -> Decision:
        verdict = verdicts.judge(row, now=self._now, tally=tally)
        after = None if verdict.put_off else row.following_after(self._now)
        slot = schedule.next_slot(row, after=after) if after is not None else None
        return Decision(verdict, slot, marking.ways_of(row, verdict), again=row.status == Status.SNOOZED)


def _tally(capped: Sequence[DueRow], now: datetime) -> Tally:
    """What counts against daily caps; asked, once for all, only where something could be cut."""
    days: set[Day] = set()
    for row in capped:
        with suppress(Exception):  # whatever is wrong with it, `judge` meets it again
            days.add(verdicts.day_of(row, now))
    if not days:
        return Tally({})
    asked = list(days)
    values: dict[str, Any] = {
        "places": list(range(len(asked))),
        "people": [day.person_id for day in asked],
        "purposes": [day.purpose for day in asked],
        "froms": [day.from_at for day in asked],
        "untils": [day.until_at for day in asked],
    }
    with connections["dispatch"].cursor() as cursor:
        cursor.execute(_TOLD, values)
        return Tally({asked[place]: count for place, count in cursor.fetchall()})
