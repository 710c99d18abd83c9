"""The chain over the audit trail: complete whoever writes at once, and whatever is altered shows."""

import os
import random
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests
from django.db import connections

from backend.accounts import access, audit, chain, heads, tokens
from backend.accounts.models import NOWHERE, Action
from backend.common import clock
from tests.accounts.trail import events, meddling, seal, verify
from tests.cast import Cast
from tests.live import Stack

FULL = bool(os.environ.get("TORTURE"))
TAMPERINGS = 1_000 if FULL else 60
WRITERS, EACH = (16, 200) if FULL else (8, 25)


def _note(cast: Cast, clinic: uuid.UUID | None = None) -> None:
    audit.note(action=Action.READ, object_type="test", patients=[cast.patient.id], clinic_id=clinic)


def _trail(cast: Cast, count: int) -> None:
    for n in range(count):
        with access.acting_as(cast.psychiatrist.id, cast.clinic.id, "test", request_id=f"request-{n}"):
            _note(cast)
    seal()


def test_a_trail_that_nobody_touched_holds(cast: Cast, tmp_path: Path, settings: Any) -> None:
    settings.AUDIT_HEADS_FILE = str(tmp_path / "heads")
    sealer, now = heads.Sealer(), clock.now()
    _trail(cast, 3)
    with access.acting_as(cast.psychiatrist.id, cast.clinic.id, "test"):
        _note(cast)
    sealer.round(now=now)
    code, said = verify()
    assert code == 0, said
    assert f"2 clinics, {len(events())} events checked, 1 heads from outside compared" in said
    code, said = verify("--clinic", str(cast.clinic.id))
    assert (code, said.split(",")[0]) == (0, "1 clinics")


def test_a_trail_of_which_there_is_nothing_is_a_fault(database: str) -> None:
    code, said = verify()
    assert (code, "no event to check" in said) == (1, True)


def test_events_that_wait_for_more_than_ten_seconds_are_a_fault(cast: Cast) -> None:
    _trail(cast, 2)
    with access.acting_as(cast.psychiatrist.id, cast.clinic.id, "test"):
        _note(cast)
    soon, late = (
        chain.check(cast.clinic.id, now=clock.now() + timedelta(seconds=wait), exported={}) for wait in (5, 11)
    )
    assert (soon.holds, late.holds, late.unsealed) == (True, False, 1)
    seal()
    assert chain.check(cast.clinic.id, now=clock.now() + timedelta(seconds=11), exported={}).holds


def test_what_commits_late_is_sealed_late_and_not_left_out(cast: Cast) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        try:
            with access.acting_as(cast.psychiatrist.id, cast.clinic.id, "slow"):
                _note(cast)
                begun.set()
                assert go_on.wait(20)
        finally:
            connections.close_all()

    thread = threading.Thread(target=slowly)
    thread.start()
    assert begun.wait(20)
    _trail(cast, 3)  # later, and sealed before the other one commits
    go_on.set()
    thread.join()
    seal()
    assert chain.check(cast.clinic.id, now=clock.now() + timedelta(minutes=1), exported={}).holds
    assert len(events(purpose="slow")) == 1


def test_many_writers_and_sealers_at_once_leave_one_whole_chain_for_each_clinic(cast: Cast) -> None:
    faults: list[BaseException] = []
    done = threading.Event()

    def guarded(work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                faults.append(error)
            finally:
                connections.close_all()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def write() -> None:
        rng = random.Random()  # noqa: S311
        for _ in range(EACH):
            clinic = rng.choice([cast.clinic.id, cast.elsewhere.id, None])
            with access.acting_as(None if clinic is None else cast.psychiatrist.id, clinic, "writer"):
                audit.note(action=Action.READ, object_type="test", clinic_id=clinic)

    def keep_sealing() -> None:
        while not done.is_set():
            seal()

    sealers = [guarded(keep_sealing) for _ in range(2)]
    for writer in [guarded(write) for _ in range(WRITERS)]:
        writer.join()
    done.set()
    for sealer in sealers:
        sealer.join()
    seal()
    assert not faults
    reports = [
        chain.check(each, now=clock.now() + timedelta(minutes=1), exported={})
        for each in (NOWHERE, cast.clinic.id, cast.elsewhere.id)
    ]
    assert all(report.holds for report in reports), reports
    assert sum(report.events for report in reports) == len(events())
    assert len(events(purpose="writer")) == WRITERS * EACH
    print(f"{WRITERS} writers with 2 sealers: {sum(r.events for r in reports)} events, all in their chains")


@pytest.mark.stack
def test_beat_seals_what_was_done_within_seconds(stack: Stack, cast: Cast) -> None:
    token = tokens.issue(person=cast.psychiatrist, now=clock.now(), lifetime=timedelta(hours=1))
    answer = requests.get(
        f"{stack.base_url}/api/v1/patients/{cast.patient.id}", headers={"Authorization": f"Bearer {token}"}, timeout=20
    )
    assert answer.status_code == 200
    assert events(person_id=cast.psychiatrist.id, object_type="patients")
    stack.wait_for(lambda: chain.check(cast.clinic.id, now=clock.now() + timedelta(minutes=1), exported={}).holds)
    code, said = verify("--clinic", str(cast.clinic.id))
    assert code == 0, said
    log = stack.wait_for(lambda: next((f for f in stack.logs.glob("*.log") if "audit chain" in f.read_text()), None))
    assert str(cast.clinic.id) in log.read_text()


def test_heads_are_told_every_ten_seconds_and_the_last_one_always(cast: Cast, tmp_path: Path, settings: Any) -> None:
    settings.AUDIT_HEADS_FILE = str(tmp_path / "heads")
    sealer, now = heads.Sealer(), clock.now()
    seal()

    def more() -> None:
        with access.acting_as(cast.psychiatrist.id, cast.clinic.id, "test"):
            _note(cast)

    def lines() -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in (tmp_path / "heads").read_bytes().splitlines()]

    more()
    sealer.round(now=now)
    assert len(lines()) == 1
    more()
    sealer.round(now=now + timedelta(seconds=1))
    assert len(lines()) == 1
    sealer.round(now=now + timedelta(seconds=10))
    assert [line["number"] for line in lines()][1] == lines()[0]["number"] + 1
    sealer.round(now=now + timedelta(seconds=30))
    assert len(lines()) == 2


def test_a_head_that_nobody_can_have_told_is_a_fault(cast: Cast, tmp_path: Path, settings: Any) -> None:
    settings.AUDIT_HEADS_FILE = str(tmp_path / "heads")
    _trail(cast, 1)
    (tmp_path / "heads").write_bytes(b"nonsense\n")
    code, said = verify()
    assert (code, "no head of a chain" in said) == (1, True)


Tampering = Callable[[Any, random.Random], str]
_VALUES = {
    "done_at": "done_at - interval '1 day'",
    "roles": "roles || 'x'",
    "action": "CASE action WHEN 'read' THEN 'list' ELSE 'read' END",
    "object_type": "object_type || 'x'",
    "object_ids": "object_ids || gen_random_uuid()",
    "patients": "patients || gen_random_uuid()",
    "reason": "reason || 'x'",
    "purpose": "purpose || 'x'",
    "request_id": "request_id || 'x'",
    "address": "address || '1'",
    "digest": "sha256(coalesce(digest, ''))",
    **dict.fromkeys(("id", "clinic_id", "person_id", "device_id"), "gen_random_uuid()"),
}
_OF_LINKS = {
    "event_id": "gen_random_uuid()",
    "clinic_id": "gen_random_uuid()",
    "number": "number + 1000000",
    "digest": "sha256(digest)",
    "hash": "sha256(hash)",
}


def _one(cursor: Any, rng: random.Random, table: str = "accounts_auditlink", key: str = "event_id") -> uuid.UUID:
    cursor.execute(f"SELECT {key} FROM {table} ORDER BY 1")
    return uuid.UUID(str(rng.choice(cursor.fetchall())[0]))


def _change_event(cursor: Any, rng: random.Random) -> str:
    column = rng.choice(list(_VALUES))
    id = _one(cursor, rng)
    cursor.execute(f"UPDATE accounts_auditevent SET {column} = {_VALUES[column]} WHERE id = %s", [id])
    return f"event.{column}"


def _change_link(cursor: Any, rng: random.Random) -> str:
    column = rng.choice(list(_OF_LINKS))
    cursor.execute(
        f"UPDATE accounts_auditlink SET {column} = {_OF_LINKS[column]} WHERE event_id = %s", [_one(cursor, rng)]
    )
    return f"link.{column}"


def _delete(cursor: Any, rng: random.Random) -> str:
    what = rng.choice(["event", "link", "both"])
    id = _one(cursor, rng)
    if what != "link":
        cursor.execute("DELETE FROM accounts_auditevent WHERE id = %s", [id])
    if what != "event":
        cursor.execute("DELETE FROM accounts_auditlink WHERE event_id = %s", [id])
    return f"delete {what}"


def _swap(cursor: Any, rng: random.Random) -> str:
    column = rng.choice(["event_id", "digest", "hash"])
    cursor.execute("SELECT event_id, number, clinic_id FROM accounts_auditlink ORDER BY 1")
    first, second = rng.sample(cursor.fetchall(), 2)
    if column == "event_id":  # two events change places
        cursor.execute("UPDATE accounts_auditlink SET event_id = gen_random_uuid() WHERE event_id = %s", [first[0]])
        cursor.execute("UPDATE accounts_auditlink SET event_id = %s WHERE event_id = %s", [first[0], second[0]])
        cursor.execute(
            "UPDATE accounts_auditlink SET event_id = %s WHERE number = %s AND clinic_id = %s",
            [second[0], first[1], first[2]],
        )
    else:
        cursor.execute(
            f"UPDATE accounts_auditlink l SET {column} = o.{column} FROM accounts_auditlink o "
            "WHERE (l.event_id, o.event_id) IN ((%s, %s), (%s, %s))",
            [first[0], second[0], second[0], first[0]],
        )
    return f"swap {column}"


def _forge(cursor: Any, rng: random.Random) -> str:
    """An event that never happened: beside the chain, or in its midst with a link that follows the rules."""
    linked, fresh = rng.choice([False, True]), uuid.uuid4()
    cursor.execute(
        "INSERT INTO accounts_auditevent SELECT (jsonb_populate_record(e, jsonb_build_object('id', %s::text, "
        "'done_at', e.done_at - interval '1 hour'))).* FROM accounts_auditevent e WHERE e.id = %s",
        [fresh, _one(cursor, rng)],
    )
    if linked:  # put in the middle: those behind it move up
        cursor.execute(
            "SELECT l.clinic_id, l.number, l.hash FROM accounts_auditlink l WHERE EXISTS (SELECT FROM "
            "accounts_auditlink n WHERE n.clinic_id = l.clinic_id AND n.number > l.number) "
            "ORDER BY l.event_id"
        )
        clinic, number, hash = rng.choice(cursor.fetchall())
        where = "clinic_id = %s AND number > %s"
        cursor.execute(f"UPDATE accounts_auditlink SET number = -number WHERE {where}", [clinic, number])
        cursor.execute(
            "UPDATE accounts_auditlink SET number = 1 - number WHERE clinic_id = %s AND number < 0",
            [clinic],
        )
        columns = ", ".join(chain._COLUMNS)
        cursor.execute(f"SELECT {columns} FROM accounts_auditevent WHERE id = %s", [fresh])
        digest = chain.digest_of(cursor.fetchone())
        made = chain.hash_of(previous=bytes(hash), number=number + 1, event_id=fresh, digest=digest)
        cursor.execute(
            "INSERT INTO accounts_auditlink (event_id, clinic_id, number, digest, hash) VALUES (%s, %s, %s, %s, %s)",
            [fresh, clinic, number + 1, digest, made],
        )
    return f"forge {'with' if linked else 'without'} link"


def _cut_off(cursor: Any, rng: random.Random) -> str:
    """The tail, as if it had never been: only a head that was told outside knows of it."""
    cursor.execute("SELECT clinic_id, number FROM accounts_auditlink ORDER BY event_id")
    clinic, number = rng.choice(cursor.fetchall())
    cursor.execute(
        "WITH gone AS (DELETE FROM accounts_auditlink WHERE clinic_id = %s AND number >= %s "
        "RETURNING event_id) DELETE FROM accounts_auditevent WHERE id IN (SELECT event_id FROM gone)",
        [clinic, number],
    )
    return "cut off the tail"


def _write_anew(cursor: Any, rng: random.Random) -> str:
    """An event changed and the whole chain behind it computed anew, by someone who knows how."""
    id = _one(cursor, rng)
    cursor.execute("UPDATE accounts_auditevent SET reason = 'nothing of note' WHERE id = %s", [id])
    cursor.execute("SELECT clinic_id, number FROM accounts_auditlink WHERE event_id = %s", [id])
    clinic, number = cursor.fetchone()
    columns = ", ".join(f"e.{name}" for name in chain._COLUMNS)
    cursor.execute(
        f"SELECT l.number, l.hash, {columns} FROM accounts_auditlink l JOIN accounts_auditevent e ON e.id = l.event_id "
        "WHERE l.clinic_id = %s AND l.number >= %s ORDER BY l.number",
        [clinic, number - 1],
    )
    rows = cursor.fetchall()
    previous = bytes(rows.pop(0)[1]) if number > 1 else chain.GENESIS
    for place, _, *event in rows:
        digest = chain.digest_of(event)
        previous = chain.hash_of(previous=previous, number=place, event_id=event[0], digest=digest)
        cursor.execute(
            "UPDATE accounts_auditlink SET digest = %s, hash = %s WHERE event_id = %s", [digest, previous, event[0]]
        )
    return "write anew"


WAYS: tuple[Tampering, ...] = (_change_event, _change_link, _delete, _swap, _forge, _cut_off, _write_anew)


def test_every_tampering_shows(cast: Cast, tmp_path: Path, settings: Any) -> None:
    settings.AUDIT_HEADS_FILE = str(tmp_path / "heads")
    sealer = heads.Sealer()
    _trail(cast, 25)
    with access.acting_as(cast.psychiatrist.id, cast.clinic.id, "test"):
        _note(cast)
    with access.acting_as(None, cast.elsewhere.id, "test"):
        _note(cast)
    with access.acting_as(None, None, "test"):
        audit.note(action=Action.SIGN_IN_FAILED, object_type="sign-in")
    sealer.round(now=clock.now())
    assert verify()[0] == 0
    with meddling() as cursor:
        for table in ("event", "link"):
            cursor.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM accounts_audit{table}")
            cursor.execute(f"GRANT ALL ON kept_{table} TO afterglow_owner")
    found: dict[str, int] = {}
    missed: list[str] = []
    try:
        for seed in range(TAMPERINGS):
            rng = random.Random(seed)  # noqa: S311
            with meddling() as cursor:
                way = WAYS[seed % len(WAYS)](cursor, rng)
            if verify()[0] == 1:
                found[way] = found.get(way, 0) + 1
            else:
                missed.append(f"{seed}: {way}")
            with meddling() as cursor:
                cursor.execute("TRUNCATE accounts_auditevent, accounts_auditlink")
                cursor.execute("INSERT INTO accounts_auditevent SELECT * FROM kept_event")
                cursor.execute("INSERT INTO accounts_auditlink SELECT * FROM kept_link")
    finally:
        with meddling() as cursor:
            cursor.execute("DROP TABLE kept_event, kept_link")
    assert verify()[0] == 0
    print(f"tamperings detected: {sum(found.values())} of {TAMPERINGS} in {len(found)} ways: {found}")
    assert not missed
