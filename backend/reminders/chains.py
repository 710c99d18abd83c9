"""Lets open chains go on, and settles what is left of closed ones, as the dispatcher, who sees no persons."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple

import orjson
import structlog
from django.db import connections

from backend.accounts import access
from backend.reminders import escalation, schedule
from backend.reminders.codes import OPEN, Purpose
from backend.reminders.models import Escalation

log = structlog.get_logger(__name__)

_AT_ONCE = 200
# A chain that cannot go on must not stop the others, nor be tried each second.
_STUCK_FOR = timedelta(minutes=1)

_DUE = """
SELECT id, steps, step, round, next_at FROM reminders_escalation WHERE next_at <= %s
ORDER BY next_at LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""

_RULES = """
SELECT id, purpose, anchor_at, time_zone, quiet_from, quiet_until, window_minutes
FROM reminders_rule
WHERE about_type = 'escalation' AND about_id = ANY(%s) AND anchor_at IS NOT NULL AND ended_at IS NULL
"""

# What an instant of the chain told stands once for each person, whoever comes to it a second time.
_TELL = """
INSERT INTO reminders_reminder
  (id, rule_id, person_id, clinic_id, purpose, reminder_class, about_type, about_id, due_at, send_at, expires_at,
   status, reason, version, created_at, updated_at)
SELECT gen_random_uuid(), rule.id, rule.person_id, rule.clinic_id, rule.purpose, v.reminder_class, rule.about_type,
       rule.about_id, v.due_at, v.send_at, v.expires_at, 'planned', '', 1, %(now)s, %(now)s
FROM unnest(%(rules)s::uuid[], %(classes)s::text[], %(dues)s::timestamptz[], %(sends)s::timestamptz[],
            %(expiries)s::timestamptz[]) AS v(rule_id, reminder_class, due_at, send_at, expires_at)
JOIN reminders_rule rule ON rule.id = v.rule_id
ON CONFLICT (rule_id, due_at) DO NOTHING
"""

_GO_ON = """
UPDATE reminders_escalation e SET step = v.step, round = v.round, next_at = v.next_at
FROM unnest(%(ids)s::uuid[], %(before)s::timestamptz[], %(steps)s::int[], %(rounds)s::int[], %(nexts)s::timestamptz[])
  AS v(id, before, step, round, next_at)
WHERE e.id = v.id AND e.next_at = v.before
"""

_CLOSED = """
SELECT id FROM reminders_escalation WHERE next_at IS NULL AND settled_at IS NULL
ORDER BY id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""

# A reminder that someone holds at this moment comes with the next round. It never waits: whoever answers holds the
# reminder and wants the chain.
_SETTLE = """
UPDATE reminders_reminder r
SET status = 'done', reason = CASE WHEN r.person_id = e.acknowledged_by THEN '' ELSE 'answered_by_other' END,
    nudge_at = NULL, change_number = NULL, updated_at = %(now)s
FROM reminders_escalation e
WHERE e.id = r.about_id AND r.id IN (
  SELECT o.id FROM reminders_rule rule JOIN reminders_reminder o ON o.rule_id = rule.id
  WHERE rule.about_type = 'escalation' AND rule.anchor_at IS NOT NULL AND rule.about_id = ANY(%(chains)s)
    AND o.status = ANY(%(open)s)
  FOR NO KEY UPDATE OF o SKIP LOCKED)
"""

_SETTLED = """
UPDATE reminders_escalation e SET settled_at = %(now)s
WHERE e.id = ANY(%(chains)s) AND NOT EXISTS (
  SELECT FROM reminders_rule rule JOIN reminders_reminder o ON o.rule_id = rule.id
  WHERE rule.about_type = 'escalation' AND rule.anchor_at IS NOT NULL AND rule.about_id = e.id
    AND o.status = ANY(%(open)s))
"""


class ChainRule(NamedTuple):
    """What a rule of a chain says; it serves `schedule` as a rule does."""

    id: uuid.UUID
    purpose: str
    anchor_at: datetime
    time_zone: str
    quiet_from: time | None
    quiet_until: time | None
    window_minutes: int
    home_zone: str = ""
    rrule: str | None = None
    start_local: datetime | None = None
    offsets: list[dict[str, Any]] = []


def go_on(*, now: datetime) -> int:
    """Tells the next step of each chain whose time has come, and settles those that ended; the reminders written.

    After the last step it begins again, and from the second round on tells those of the earlier steps too. Late is
    late, by however much: one step is told, and the next has its whole time from now.
    """
    told = 0
    while True:
        with access.dispatching("go on"), connections["dispatch"].cursor() as cursor:
            cursor.execute(_DUE, [now, _AT_ONCE])
            rows = cursor.fetchall()
            if rows:
                told += _tell(cursor, [_chain(row) for row in rows], [row[-1] for row in rows], now)
        if len(rows) < _AT_ONCE:
            break
    settle(now=now)
    return told


def settle(*, now: datetime) -> int:
    """What is open of chains that were answered or stopped is done; the number of reminders."""
    with access.dispatching("settle"), connections["dispatch"].cursor() as cursor:
        cursor.execute(_CLOSED, [_AT_ONCE])
        closed = [row[0] for row in cursor.fetchall()]
        if not closed:
            return 0
        asked: dict[str, Any] = {"chains": closed, "open": list(OPEN), "now": now}
        cursor.execute(_SETTLE, asked)
        settled = int(cursor.rowcount)
        cursor.execute(_SETTLED, asked)
        return settled


def _chain(row: tuple[Any, ...]) -> Escalation:
    id, steps, step, round_, next_at = row
    return Escalation(id=id, steps=orjson.loads(steps), step=step, round=round_, next_at=next_at)


def _tell(cursor: Any, chains: Sequence[Escalation], before: Sequence[datetime], now: datetime) -> int:
    cursor.execute(_RULES, [[chain.id for chain in chains]])
    rules = {row[0]: ChainRule(*row) for row in cursor.fetchall()}
    reminders: list[tuple[uuid.UUID, str, datetime, datetime, datetime]] = []
    for chain, due_at in zip(chains, before, strict=True):
        try:
            reminders += [_reminder(rule, due_at, now) for rule in _next_people(chain, rules, now)]
        except Exception:  # whatever is wrong with one chain, the others go on
            log.exception("a chain cannot go on", escalation=str(chain.id))
            chain.next_at = now + _STUCK_FOR
    columns = [[each[place] for each in reminders] for place in range(5)]
    cursor.execute(_TELL, {"now": now, **dict(zip(_COLUMNS, columns, strict=True))})
    written = int(cursor.rowcount)
    cursor.execute(
        _GO_ON,
        {
            "ids": [chain.id for chain in chains],
            "before": before,
            "steps": [chain.step for chain in chains],
            "rounds": [chain.round for chain in chains],
            "nexts": [chain.next_at for chain in chains],
        },
    )
    return written


def _next_people(chain: Escalation, rules: Mapping[uuid.UUID, ChainRule], now: datetime) -> list[ChainRule]:
    """Who is told now, and the chain put to its following step. A step whose people are all gone is passed over."""
    for _ in chain.steps:
        first = 0 if chain.round > 1 else chain.step
        named = (uuid.UUID(id) for step in chain.steps[first : chain.step + 1] for id in step["rules"])
        found = [rules[id] for id in dict.fromkeys(named) if id in rules]
        gone = not any(uuid.UUID(id) in rules for id in chain.steps[chain.step]["rules"])
        escalation.following(chain, now)
        if not gone:
            return found
    raise LookupError("nobody is left in this chain")


def _reminder(rule: ChainRule, due_at: datetime, now: datetime) -> tuple[uuid.UUID, str, datetime, datetime, datetime]:
    """Due when the chain said so, also when that was a while ago; what it may wait for counts from now."""
    slot = schedule.place(rule, due_at=now)
    send_at = slot.send_at if slot.send_at > now else due_at
    return rule.id, Purpose(rule.purpose).facts.reminder_class.value, due_at, send_at, slot.expires_at


_COLUMNS = ("rules", "classes", "dues", "sends", "expiries")
