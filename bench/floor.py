"""What SQL alone does with as many reminders: the limit that claims, and the whole way of a reminder, are held against.

One statement claims (state, delivery, next occurrence), one marks as sending, one as sent, on two connections that do
nothing else. The tables have the same columns, checks, keys and indexes, without isolation and audit; the next
occurrence is a day later instead of being computed; nothing is looked at under lock, written in words or handed over.
"""

import os
import sys
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import psycopg

from bench import schedules, stage

_CLAIM = """
WITH due AS (
  SELECT id, rule_id, person_id, clinic_id, due_at FROM bench_reminder
  WHERE reminder_class = 'habit' AND claim_at <= %(now)s
  ORDER BY claim_at LIMIT 500 FOR NO KEY UPDATE SKIP LOCKED),
claimed AS (
  UPDATE bench_reminder r SET status = 'due', updated_at = %(now)s FROM due WHERE r.id = due.id RETURNING 1),
made AS (
  INSERT INTO bench_delivery (id, reminder_id, person_id, clinic_id, reminder_class, channel, attempt, status, try_at,
    error, created_at, changed_at)
  SELECT gen_random_uuid(), id, person_id, clinic_id, 'habit', 'push', 1, 'pending', %(now)s, '', %(now)s, %(now)s
  FROM due RETURNING 1),
planned AS (
  INSERT INTO bench_reminder (id, rule_id, person_id, clinic_id, purpose, reminder_class, about_type, due_at, send_at,
    expires_at, status, reason, version, change_number, created_at, updated_at)
  SELECT gen_random_uuid(), rule_id, person_id, clinic_id, 'check_in', 'habit', '', due_at + interval '1 day',
    due_at + interval '1 day', due_at + interval '1 day 150 minutes', 'planned', '', 1, 1, %(now)s, %(now)s
  FROM due RETURNING 1)
SELECT (SELECT count(*) FROM claimed) + 0 * (SELECT count(*) FROM made) + 0 * (SELECT count(*) FROM planned)
"""
_SENDING = """
WITH picked AS (
  SELECT ctid AS place FROM bench_delivery
  WHERE status = 'pending' AND reminder_class = 'habit' AND channel = 'push' AND try_at <= %(now)s
  ORDER BY try_at LIMIT 500 FOR UPDATE SKIP LOCKED),
begun AS (
  UPDATE bench_delivery d
  SET status = 'sending', lease_token = %(token)s, lease_ends_at = %(until)s, changed_at = %(now)s
  FROM picked WHERE d.ctid = picked.place RETURNING 1)
SELECT count(*) FROM begun
"""
_SENT = """
WITH gone AS (
  UPDATE bench_delivery SET status = 'sent', lease_token = NULL, lease_ends_at = NULL, changed_at = %(now)s
  WHERE lease_ends_at = %(until)s AND status IN ('leased', 'sending') AND lease_token = %(token)s
  RETURNING reminder_id),
told AS (
  UPDATE bench_reminder r SET status = 'sent', sent_at = %(now)s, updated_at = %(now)s
  FROM gone WHERE r.id = gone.reminder_id RETURNING 1)
SELECT count(*) FROM told
"""
_BARE = """
CREATE TABLE bench_reminder (LIKE reminders_reminder INCLUDING ALL);
CREATE TABLE bench_delivery (LIKE reminders_delivery INCLUDING ALL);
INSERT INTO bench_reminder (id, rule_id, person_id, clinic_id, purpose, reminder_class, about_type, due_at, send_at,
  expires_at, status, reason, version, change_number, created_at, updated_at)
SELECT id, rule_id, person_id, clinic_id, purpose, reminder_class, about_type, due_at, send_at,
  expires_at, status, reason, version, change_number, created_at, updated_at FROM reminders_reminder;
ALTER TABLE bench_reminder SET (fillfactor = 75);
ALTER TABLE bench_reminder ADD FOREIGN KEY (rule_id) REFERENCES reminders_rule (id);
ALTER TABLE bench_delivery ADD FOREIGN KEY (reminder_id) REFERENCES bench_reminder (id);
GRANT SELECT, INSERT, UPDATE ON bench_reminder, bench_delivery TO afterglow_app, afterglow_dispatch
"""


def make_due(count: int, *, at: datetime, table: str = "reminders_reminder") -> None:
    """So many are due at an instant; the statistics are those of a day's work."""
    with stage.owner() as cursor:
        made = schedules.make_due(cursor, count=count, at=at, table=table)
        cursor.execute(f"VACUUM (ANALYZE) {table}")
    if made != count:
        sys.exit(f"only {made} of {count} could be made due: give more --rules")


def bare_tables() -> None:
    """Makes them, with what the ledger has now."""
    with stage.owner() as cursor:
        cursor.execute(_BARE)
        cursor.execute("VACUUM (ANALYZE)")


def rates(count: int, now: datetime) -> tuple[float, float]:
    """Rows a second by SQL alone on two connections: claimed; and claimed, marked as sending, and as sent."""
    make_due(count, at=now, table="bench_reminder")
    claiming = _by_two(count, lambda cursor, _: _counted(cursor, _CLAIM, {"now": now}))
    sending = _by_two(count, lambda cursor, place: _send(cursor, place, now))
    return count / claiming, count / (claiming + sending)


def _send(cursor: psycopg.Cursor[Any], place: int, now: datetime) -> int:
    # The end of a lease is this batch's own, so that its index finds the batch.
    token = uuid.uuid4()
    values = {"now": now, "token": token, "until": now + timedelta(seconds=60 + place, microseconds=token.int % 10**6)}
    begun = _counted(cursor, _SENDING, values)
    if begun and _counted(cursor, _SENT, values) != begun:
        sys.exit("the limit lost some on the way")
    return begun


def _counted(cursor: psycopg.Cursor[Any], statement: str, values: dict[str, Any]) -> int:
    return int((cursor.execute(statement, values, prepare=True).fetchone() or [0])[0])


def _by_two(count: int, batch: Callable[[psycopg.Cursor[Any], int], int]) -> float:
    """Two connections do batches until nothing is left: seconds."""
    done = [0, 0]

    def work(place: int) -> None:
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as line, line.cursor() as cursor:
            while found := batch(cursor, place):
                done[place] += found

    began = time.monotonic()
    threads = [threading.Thread(target=work, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if sum(done) < count:  # it may be more: some come due by themselves meanwhile
        sys.exit(f"the limit did {sum(done)} of {count}")
    return (time.monotonic() - began) * count / sum(done)
