"""Compares the plan with the zone database that is installed now, and plans anew what a new version of it changes.

The dispatcher does it, in batches of a transaction each, and writes how far it came: it goes on where it was stopped,
and a second time it changes nothing. What was sent, answered or done keeps its instant.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from datetime import time as wall_time
from itertools import islice
from typing import Any, NamedTuple

import orjson
import structlog
from django.db import connections

from backend.accounts import access
from backend.common import clock
from backend.reminders import recurrence, schedule
from backend.reminders.codes import WITHDRAWN, Purpose
from backend.reminders.schedule import Slot

log = structlog.get_logger(__name__)

BATCH = 500
_LOCK = (int.from_bytes(b"remi"), int.from_bytes(b"zone"))
# No zone ever moved by more: Samoa left out a whole day, and one hour of summer time beside it.
_FARTHEST = timedelta(hours=26)
# A rule that someone is just planning is left, and looked at again so often.
_ROUNDS = 3
_SAID_EACH = 20

_BEGIN = "INSERT INTO reminders_zonedata (version, began_at) VALUES (%s, %s) ON CONFLICT (version) DO NOTHING"
_STANDING = "SELECT checked_at, reached FROM reminders_zonedata WHERE version = %s"
_REACHED = "UPDATE reminders_zonedata SET reached = %s, checked_at = %s WHERE version = %s"

# A chain of people plans its own reminders, without wall time.
_PAGE = """
SELECT id FROM reminders_rule
WHERE (%(reached)s::uuid IS NULL OR id > %(reached)s::uuid) AND ended_at IS NULL AND about_type <> 'escalation'
ORDER BY id LIMIT %(most)s
"""

_RULES = """
SELECT id, purpose, rrule, start_local, anchor_at, offsets::text, time_zone, home_zone, quiet_from, quiet_until,
       window_minutes, settled_until_at
FROM reminders_rule WHERE id = ANY(%s) AND ended_at IS NULL ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""

_LOCK_PLANNED = """
SELECT id FROM reminders_reminder WHERE rule_id = ANY(%s) AND status = 'planned'
ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""

# All of them, so that an instant is not planned twice; those that are held by somebody else show as such.
_ROWS = """
SELECT id, rule_id, due_at, send_at, expires_at, status, status = 'skipped' AND reason = ANY(%(withdrawn)s)
FROM reminders_reminder
WHERE rule_id = ANY(%(rules)s) AND (status = 'planned' OR due_at > %(now)s - interval '3 days')
"""

_WITHDRAW = """
UPDATE reminders_reminder SET status = 'skipped', reason = 'zone_changed', change_number = NULL, updated_at = %(now)s
WHERE id = ANY(%(ids)s) AND status = 'planned'
"""

_SHIFT = """
UPDATE reminders_reminder r
SET send_at = v.send_at, expires_at = v.expires_at, change_number = NULL, updated_at = %(now)s
FROM unnest(%(ids)s::uuid[], %(sends)s::timestamptz[], %(expiries)s::timestamptz[]) AS v(id, send_at, expires_at)
WHERE r.id = v.id AND r.status = 'planned'
"""

_PLAN = """
INSERT INTO reminders_reminder
  (id, rule_id, person_id, clinic_id, purpose, reminder_class, about_type, about_id, due_at, send_at, expires_at,
   unanswered_since_at, status, reason, version, created_at, updated_at)
SELECT gen_random_uuid(), rule.id, rule.person_id, rule.clinic_id, rule.purpose, v.reminder_class, rule.about_type,
       rule.about_id, v.due_at, v.send_at, v.expires_at, old.unanswered_since_at, 'planned', '', 1, %(now)s, %(now)s
FROM unnest(%(rules)s::uuid[], %(classes)s::text[], %(dues)s::timestamptz[], %(sends)s::timestamptz[],
            %(expiries)s::timestamptz[], %(olds)s::uuid[])
  AS v(rule_id, reminder_class, due_at, send_at, expires_at, old_id)
JOIN reminders_rule rule ON rule.id = v.rule_id LEFT JOIN reminders_reminder old ON old.id = v.old_id
ON CONFLICT (rule_id, due_at) DO UPDATE
SET status = 'planned', reason = '', send_at = excluded.send_at, expires_at = excluded.expires_at,
    updated_at = excluded.updated_at, change_number = NULL
WHERE reminders_reminder.status = 'skipped' AND reminders_reminder.reason = ANY(%(withdrawn)s)
"""


class ZoneRule(NamedTuple):
    """What a rule says; it serves `schedule` as a rule does."""

    id: uuid.UUID
    purpose: str
    rrule: str | None
    start_local: datetime | None
    anchor_at: datetime | None
    offsets: list[dict[str, Any]]
    time_zone: str
    home_zone: str
    quiet_from: wall_time | None
    quiet_until: wall_time | None
    window_minutes: int
    settled_until_at: datetime | None


class Row(NamedTuple):
    """A reminder of a rule; `free` when an earlier plan had taken it back, so that it may be planned again."""

    id: uuid.UUID
    rule_id: uuid.UUID
    due_at: datetime
    send_at: datetime | None
    expires_at: datetime
    status: str
    free: bool


class Moves(NamedTuple):
    """What a comparison changes: rows taken back, rows whose hours shift, and slots of rules planned in their place."""

    gone: list[uuid.UUID]
    shifted: list[tuple[uuid.UUID, Slot]]
    planned: list[tuple[ZoneRule, Slot, uuid.UUID]]


def renew(*, now: datetime, seconds: float = 30.0, version: str = clock.ZONE_DATABASE) -> bool:
    """Compares until all is compared with this version, or the time is over; whether it is done.

    Whoever else does it at the same moment is left to it.
    """
    end, looked, moved, batches, left = time.monotonic() + seconds, 0, 0, 0, list[uuid.UUID]()
    with access.dispatching("zones"), connections["dispatch"].cursor() as cursor:
        cursor.execute(_STANDING, [version])
        checked_at, reached = cursor.fetchone() or (None, None)
        if checked_at is not None:
            return True
        cursor.execute(_BEGIN, [version, now])
    while time.monotonic() < end:
        with access.dispatching("zones"), connections["dispatch"].cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", _LOCK)
            if not cursor.fetchone()[0]:
                return False
            cursor.execute(_PAGE, {"reached": reached, "most": BATCH})
            page = [row[0] for row in cursor.fetchall()]
            if page:
                skipped, changed = _compare(cursor, page, now)
                reached = page[-1]
                cursor.execute(_REACHED, [reached, None, version])
        if not page:
            return _finish(left, now, version)
        left += skipped
        looked, moved, batches = looked + len(page), moved + changed, batches + 1
        if batches % _SAID_EACH == 0 or len(page) < BATCH:
            log.info("plan compared with zone data", version=version, rules=looked, moved=moved)
    return False


def _finish(left: Sequence[uuid.UUID], now: datetime, version: str) -> bool:
    """Looks again at what somebody was planning; if some of it still is, all is compared once more another time."""
    for _ in range(_ROUNDS):
        if not left:
            break
        with access.dispatching("zones"), connections["dispatch"].cursor() as cursor:
            left, _ = _compare(cursor, left[: BATCH * 10], now)
    with access.dispatching("zones"), connections["dispatch"].cursor() as cursor:
        cursor.execute(_REACHED, [None, None if left else now, version])
    log.info("plan agrees with zone data", version=version, left=len(left))
    return not left


def _compare(cursor: Any, rule_ids: Sequence[uuid.UUID], now: datetime) -> tuple[list[uuid.UUID], int]:
    """Plans anew what differs; the rules that somebody holds, and the number of reminders that moved."""
    cursor.execute(_RULES, [list(rule_ids)])
    rules = [ZoneRule(*row)._replace(offsets=orjson.loads(row[5])) for row in cursor.fetchall()]
    locked = {rule.id for rule in rules}
    cursor.execute(_LOCK_PLANNED, [list(locked)])
    mine = {row[0] for row in cursor.fetchall()}
    cursor.execute(_ROWS, {"rules": list(locked), "now": now, "withdrawn": list(WITHDRAWN)})
    rows: dict[uuid.UUID, list[Row]] = {}
    for row in map(Row._make, cursor.fetchall()):
        rows.setdefault(row.rule_id, []).append(row)
    moves, left = Moves([], [], []), [id for id in rule_ids if id not in locked]
    for rule in rules:
        known = rows.get(rule.id, [])
        if any(row.status == "planned" and row.id not in mine for row in known):
            left.append(rule.id)
            continue
        try:
            _moves(rule, known, moves, now)
        except Exception:  # whatever is wrong with one rule, the others go on
            log.exception("a rule cannot be compared with zone data", rule=str(rule.id))
    _write(cursor, moves, now)
    return left, len(moves.gone) + len(moves.shifted)


def _moves(rule: ZoneRule, known: Sequence[Row], moves: Moves, now: datetime) -> None:
    by_due = {row.due_at: row for row in known}
    for row in known:
        if row.status != "planned":
            continue
        slot = _series_slot(rule, row, by_due) if rule.rrule is not None else _anchored_slot(rule, row, by_due)
        if slot is not None and slot.due_at == row.due_at:
            # What should have left by now was put off by the claim, or leaves in this second.
            if slot.send_at > now and (row.send_at, row.expires_at) != (slot.send_at, slot.expires_at):
                moves.shifted.append((row.id, slot))
            continue
        moves.gone.append(row.id)
        if slot is not None and slot.expires_at > now:
            moves.planned.append((rule, slot, row.id))
            by_due[slot.due_at] = row


def _series_slot(rule: ZoneRule, row: Row, taken: Mapping[datetime, Row]) -> Slot | None:
    """Where today's zone data puts the occurrence that was planned: itself, else the nearest one that is free."""
    assert rule.rrule is not None and rule.start_local is not None  # noqa: S101, PT018
    moment = timedelta(microseconds=1)
    slot = schedule.next_slot(rule, after=row.due_at - moment)
    if slot is not None and slot.due_at == row.due_at:
        return slot
    series = recurrence.occurrences(
        recurrence.parse(rule.rrule),
        start=rule.start_local,
        zone=clock.zone(rule.time_zone),
        after=row.due_at - _FARTHEST,
    )
    settled = rule.settled_until_at
    free = [
        due_at
        for due_at in islice(series, 200)
        if due_at <= row.due_at + _FARTHEST
        and (settled is None or due_at >= settled)
        and (due_at not in taken or taken[due_at].free)
    ]
    if free:
        nearest = min(free, key=lambda due_at: (abs(due_at - row.due_at), due_at < row.due_at))
        return schedule.place(rule, due_at=nearest)
    return schedule.next_slot(rule, after=max(row.due_at, settled - moment if settled else row.due_at))


def _anchored_slot(rule: ZoneRule, row: Row, taken: Mapping[datetime, Row]) -> Slot | None:
    """Where today's zone data puts what was planned before an event: the nearest of its instants that is free."""
    slots = [schedule.place(rule, due_at=slot.due_at) for slot in schedule.anchored(rule, now=row.due_at)]
    free = [
        slot for slot in slots
        if slot.due_at == row.due_at or slot.due_at not in taken or taken[slot.due_at].free
    ]  # fmt: skip
    return min(free, key=lambda slot: abs(slot.due_at - row.due_at), default=None)


def _write(cursor: Any, moves: Moves, now: datetime) -> None:
    if moves.gone:
        cursor.execute(_WITHDRAW, {"ids": moves.gone, "now": now})
    if moves.shifted:
        sends, expiries = [slot.send_at for _, slot in moves.shifted], [slot.expires_at for _, slot in moves.shifted]
        ids = [id for id, _ in moves.shifted]
        cursor.execute(_SHIFT, {"ids": ids, "sends": sends, "expiries": expiries, "now": now})
    if moves.planned:
        cursor.execute(
            _PLAN,
            {
                "rules": [rule.id for rule, _, _ in moves.planned],
                "classes": [Purpose(rule.purpose).facts.reminder_class.value for rule, _, _ in moves.planned],
                "dues": [slot.due_at for _, slot, _ in moves.planned],
                "sends": [slot.send_at for _, slot, _ in moves.planned],
                "expiries": [slot.expires_at for _, slot, _ in moves.planned],
                "olds": [old for _, _, old in moves.planned],
                "withdrawn": list(WITHDRAWN),
                "now": now,
            },
        )
