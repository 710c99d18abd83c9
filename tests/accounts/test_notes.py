"""Notes at rest: no plain text in the database, never a wrong text, and an answer where one cannot be read."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import connection
from django.db.utils import IntegrityError

from backend.accounts import access, first_sealing, keys, masters, resealing
from backend.accounts.models import DataKey
from backend.aftercare.models import MoodCheckIn
from backend.common import clock, sealing
from tests.cast import Cast
from tests.web.reading import browser, read, words

CANARY = "canary-Xq7-nobody-else-says-this"
FELT = {"felt_at": "2026-03-02T21:15:00+05:30", "time_zone": "Asia/Kolkata"}
DAY = "2026-03-02"
BODIES: dict[str, dict[str, Any]] = {
    "mood-check-ins": {**FELT, "mood": 6},
    "sleep-logs": {"night_of": DAY, "minutes_asleep": 415},
    "exercise-logs": {"started_at": FELT["felt_at"], "time_zone": "Asia/Kolkata", "kind": "walking", "minutes": 30},
    "nutrition-logs": {"day": DAY, "meals": 3},
    "substance-logs": {"day": DAY, "substance": "alcohol", "used": False},
    "side-effects": {"kind": "dizziness", "severity": 1, "started_at": FELT["felt_at"]},
}


def _sql(statement: str, *parameters: Any) -> list[Any]:
    with access.maintaining("test"), connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall()) if cursor.description else []


def _appointment(cast: Cast, **more: Any) -> dict[str, Any]:
    return {
        "patient": str(cast.patient.id),
        "kind": "therapy",
        "starts_at": "2099-01-05T10:00:00Z",
        "minutes": 50,
        **more,
    }


@pytest.fixture
def key_file(tmp_path: Path) -> Iterator[Path]:
    """A file of master keys of the test's own, known to this process alone."""
    path = tmp_path / "note_keys.json"
    path.write_text(masters.drawn("one"))
    before, settings.NOTE_KEYS_FILE = settings.NOTE_KEYS_FILE, str(path)
    keys.masters.cache_clear()
    yield path
    settings.NOTE_KEYS_FILE = before
    keys.masters.cache_clear()
    keys.forget_unwrapped()


def test_no_note_stands_anywhere_in_plain_text_not_in_the_history_nor_in_redis(cast: Cast) -> None:
    phone, doctor = cast.client(cast.patient), cast.client(cast.psychiatrist)
    for kind, body in BODIES.items():
        for verb, more in (("PUT", {}), ("PUT", {"note": f"{CANARY} second"}), ("DELETE", {})):
            noted = body | {"note": f"{CANARY} first"} | ({"what_helped": CANARY} if kind == "substance-logs" else {})
            phone.send(verb, f"{kind}/{uuid.uuid5(uuid.NAMESPACE_OID, kind)}", noted | more)
        assert phone.send("PUT", f"{kind}/{uuid.uuid4()}", noted).json()["note"] == f"{CANARY} first"
        assert phone.send("GET", kind).json()["results"][0]["note"] == f"{CANARY} first"
    visit = f"appointments/{uuid.uuid4()}"
    for note in (CANARY, f"{CANARY} second"):
        assert doctor.send("PUT", visit, _appointment(cast, note=note)).json()["note"] == note
    own = {"title": CANARY, "rrule": "FREQ=DAILY", "start": "2099-01-05T21:00:00", "time_zone": "Asia/Kolkata"}
    rule = f"reminder-rules/{uuid.uuid4()}"
    assert phone.send("PUT", rule, own).json()["title"] == CANARY
    assert phone.send("PUT", rule, own).status_code == 200
    assert [row["title"] for row in phone.send("GET", "reminders").json()["results"]].count(CANARY) == 1
    filled = _every_text_in_the_database()
    assert {
        "reminders_rule",
        "aftercare_appointment",
        "aftercare_appointmentevent",
        "aftercare_moodcheckinevent",
    } <= filled.keys()
    found = [(table, text) for table, texts in filled.items() for text in texts if "canary" in text.lower()]
    assert found == []
    line = redis.Redis.from_url(settings.REDIS_URL)
    assert not [key for key in line.keys("*") if CANARY.encode() in (line.dump(key) or b"") + key]
    print(f"canary in every note field: {sum(map(len, filled.values())):,} texts of {len(filled)} tables, 0 hits")


def _every_text_in_the_database() -> dict[str, list[str]]:
    """Each row of each table as one text, as a dump of the database would hold it."""
    tables = [row[0] for row in _sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    return {table: [row[0] for row in _sql(f'SELECT t::text FROM "{table}" AS t')] for table in tables}


@pytest.mark.parametrize("column", list(resealing.columns()), ids=lambda c: f"{c.table}.{c.name}")
def test_the_database_itself_takes_no_plain_note(database: str, column: resealing.Column) -> None:
    rules = _sql(
        "SELECT pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE contype = 'c' "
        "AND conrelid = %s::regclass AND conname LIKE '%%_sealed'",
        column.table,
    )
    assert [valid for rule, valid in rules if f"({column.name} ~~ 'n1.%'::text)" in rule] == [True]


def test_plain_text_is_refused_whoever_writes_it(cast: Cast) -> None:
    id = uuid.uuid4()
    cast.client(cast.patient).send("PUT", f"mood-check-ins/{id}", BODIES["mood-check-ins"])
    with pytest.raises(IntegrityError, match="moodcheckin_note_sealed"):
        _sql("UPDATE aftercare_moodcheckin SET note = 'plain' WHERE id = %s", id)
    with access.maintaining("test"), pytest.raises(TypeError, match="plain text"):
        MoodCheckIn.objects.filter(id=id).update(note="plain")


def _put(cast: Cast, note: str, *, who: Any = None) -> str:
    id = str(uuid.uuid4())
    body = BODIES["mood-check-ins"] | {"note": note}
    assert cast.client(who or cast.patient).send("PUT", f"mood-check-ins/{id}", body).status_code == 201
    return id


def _read(cast: Cast, id: str, *, who: Any = None) -> dict[str, Any]:
    answer: dict[str, Any] = cast.client(who or cast.patient).send("GET", f"mood-check-ins/{id}").json()
    return answer


def test_a_note_moved_to_another_row_or_patient_is_told_unreadable_and_never_shown(
    cast: Cast, caplog: pytest.LogCaptureFixture
) -> None:
    mine, second = _put(cast, f"{CANARY} mine"), _put(cast, f"{CANARY} second")
    theirs = _put(cast, f"{CANARY} theirs", who=cast.other_patient)
    move = (
        "UPDATE aftercare_moodcheckin SET note = (SELECT note FROM aftercare_moodcheckin WHERE id = %s) WHERE id = %s"
    )
    for source in (second, theirs):
        _sql(move, source, mine)
        for reader in (cast.patient, cast.psychiatrist):
            shown = _read(cast, mine, who=reader)
            assert (shown["note"], shown["unreadable"], shown["mood"]) == (None, ["note"], 6)
    listed = cast.client(cast.patient).send("GET", "mood-check-ins").json()["results"]
    assert {row["id"]: row["note"] for row in listed} == {mine: None, second: f"{CANARY} second"}
    assert mine in caplog.text
    assert CANARY not in caplog.text


def test_a_flipped_bit_is_told_unreadable_and_the_page_of_the_clinic_says_so(cast: Cast) -> None:
    id = _put(cast, f"{CANARY} mine")
    sealed = _sql("SELECT note FROM aftercare_moodcheckin WHERE id = %s", id)[0][0]
    _sql(
        "UPDATE aftercare_moodcheckin SET note = %s WHERE id = %s",
        sealed[:-9] + chr(ord(sealed[-9]) ^ 1) + sealed[-8:],
        id,
    )
    assert _read(cast, id)["unreadable"] == ["note"]
    assert _read(cast, id, who=cast.psychiatrist)["note"] is None
    page = words(read(browser(cast.psychiatrist).get(f"/patients/{cast.patient.id}")))
    assert "There is a note that cannot be read" in page
    assert sealed[:12] not in page


def test_an_unreadable_note_is_not_lost_by_sending_the_record_back(cast: Cast) -> None:
    id, phone = _put(cast, f"{CANARY} mine"), cast.client(cast.patient)
    _sql("DELETE FROM accounts_datakey WHERE patient_id = %s", cast.patient.id)
    shown = _read(cast, id)
    refused = phone.send("PUT", f"mood-check-ins/{id}", shown)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/note")
    (result,) = phone.send("POST", "mood-check-ins/batch", {"records": [shown]}).json()["results"]
    assert (result["outcome"], result["errors"][0]["code"]) == ("rejected", "unreadable")
    assert phone.send("PATCH", f"mood-check-ins/{id}", {"mood": 2}).status_code == 400
    assert phone.send("PATCH", f"mood-check-ins/{id}", {"mood": 2, "note": "Again."}).json()["note"] == "Again."
    assert phone.send("DELETE", f"mood-check-ins/{id}").status_code == 204


def test_an_unreadable_note_of_a_visit_is_told_too_and_not_lost(cast: Cast) -> None:
    doctor, visit = cast.client(cast.psychiatrist), f"appointments/{uuid.uuid4()}"
    assert doctor.send("PUT", visit, _appointment(cast, note="Bring the diary.")).status_code == 201
    assert doctor.send("PUT", visit, _appointment(cast, note="Bring the diary.")).json()["version"] == 1
    _sql("DELETE FROM accounts_datakey WHERE patient_id = %s", cast.patient.id)
    shown = doctor.send("GET", visit).json()
    assert (shown["note"], shown["unreadable"], shown["minutes"]) == (None, ["note"], 50)
    assert doctor.send("PUT", visit, shown).json()["errors"][0]["code"] == "unreadable"
    assert doctor.send("PUT", visit, _appointment(cast, note="New.")).json()["note"] == "New."


def test_a_forgotten_key_is_gone_at_once_also_where_it_was_just_used(cast: Cast) -> None:
    id = _put(cast, f"{CANARY} mine")
    assert _read(cast, id)["note"] == f"{CANARY} mine"
    with access.acting_as(None, cast.clinic.id, "erase"):
        assert keys.forget(cast.patient.id) == 1
    assert _read(cast, id)["note"] is None
    again = _put(cast, "A new key for a new note.")
    assert _read(cast, again)["note"] == "A new key for a new note."
    assert _read(cast, id)["note"] is None


def test_a_key_that_another_process_replaced_is_noticed_by_the_statement_that_writes(cast: Cast) -> None:
    _put(cast, "first")  # from here on this process believes that it knows the key
    with access.maintaining("test"):
        DataKey.objects.filter(patient=cast.patient).update(retired_at=clock.now())
    id = _put(cast, "second")
    assert _sql("SELECT split_part(note, '.', 2) FROM aftercare_moodcheckin WHERE id = %s", id) == [("2",)]
    assert _read(cast, id)["note"] == "second"
    records = [BODIES["mood-check-ins"] | {"id": str(uuid.uuid4()), "note": f"note {n}"} for n in range(3)]
    _sql("DELETE FROM accounts_datakey WHERE patient_id = %s", cast.patient.id)
    results = cast.client(cast.patient).send("POST", "mood-check-ins/batch", {"records": records}).json()["results"]
    assert [result["outcome"] for result in results] == ["created"] * 3


def test_whether_a_note_is_the_same_is_told_from_its_history_too(cast: Cast) -> None:
    phone, id, body = cast.client(cast.patient), uuid.uuid4(), BODIES["mood-check-ins"]
    for note in ("one", "two", "three"):
        phone.send("PUT", f"mood-check-ins/{id}", body | {"note": note})
    for late in ("one", "two", "three"):
        assert phone.send("PUT", f"mood-check-ins/{id}", body | {"note": late}).json()["version"] == 3
    assert phone.send("PUT", f"mood-check-ins/{id}", body | {"note": "four"}).json()["version"] == 4
    resealing.reencrypt(made_before=clock.now(), now=clock.now())
    assert resealing.drop_retired(patience_s=5) == (1, 0)
    for late in ("one", "two", "three", "four"):
        answer = phone.send("PUT", f"mood-check-ins/{id}", body | {"note": late}).json()
        assert (answer["version"], answer["note"]) == (4, "four")
    assert phone.send("PUT", f"mood-check-ins/{id}", body).json()["version"] == 5


def test_nobody_sees_the_data_key_of_a_patient_who_is_not_theirs(cast: Cast) -> None:
    _put(cast, "mine")
    for who, clinic, seen in (
        (cast.patient, cast.clinic, 1), (cast.psychiatrist, cast.clinic, 1), (cast.other_patient, cast.clinic, 0),
        (cast.nurse, cast.clinic, 0), (cast.administrator, cast.clinic, 0), (cast.outsider, cast.elsewhere, 0),
    ):  # fmt: skip
        with access.acting_as(who.id, clinic.id, "test"):
            assert DataKey.objects.count() == seen, who.full_name
            assert DataKey.objects.all().delete()[0] == 0, "a person deletes no key"


@pytest.mark.usefixtures("key_file")
def test_without_the_master_key_records_are_shown_without_their_notes_and_no_note_is_stored(
    cast: Cast, key_file: Path
) -> None:
    id = _put(cast, "mine")
    key_file.write_text(masters.drawn("another"))
    keys.forget_unwrapped()
    assert (_read(cast, id)["note"], _read(cast, id)["mood"]) == (None, 6)
    phone, new = cast.client(cast.patient), uuid.uuid4()
    refused = phone.send("PUT", f"mood-check-ins/{new}", BODIES["mood-check-ins"] | {"note": "lost?"})
    assert (refused.status_code, refused.json()["code"], refused["Retry-After"]) == (503, "keys_unavailable", "60")
    assert phone.send("GET", f"mood-check-ins/{new}").status_code == 404
    assert phone.send("PUT", f"mood-check-ins/{new}", BODIES["mood-check-ins"]).status_code == 201
    key_file.write_text(json.dumps({"current": "one"}))
    keys.forget_unwrapped()
    assert _read(cast, id)["note"] is None


def test_notes_that_were_plain_are_sealed_where_they_stand(cast: Cast) -> None:
    told = {
        _put(cast, note, who=who): note for who in (cast.patient, cast.other_patient) for note in ("a", "n1.b", "c")
    }
    with access.maintaining("test"), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE aftercare_moodcheckin DROP CONSTRAINT moodcheckin_note_sealed")
    try:
        for id, note in told.items():
            _sql("UPDATE aftercare_moodcheckin SET note = %s, version = version WHERE id = %s", note, id)
        _sql("DELETE FROM accounts_datakey")
        assert first_sealing.seal_plain("aftercare_moodcheckin", column="note", origin="aftercare_moodcheckin") == 6
        assert first_sealing.seal_plain("aftercare_moodcheckin", column="note", origin="aftercare_moodcheckin") == 0
    finally:
        _sql("ALTER TABLE aftercare_moodcheckin ADD CONSTRAINT moodcheckin_note_sealed "
             "CHECK (note = '' OR note LIKE 'n1.%%')")  # fmt: skip
    for id, note in told.items():
        owner = cast.patient if list(told).index(id) < 3 else cast.other_patient
        assert _read(cast, id, who=owner)["note"] == note
        assert _sql("SELECT count(*) FROM aftercare_moodcheckin WHERE id = %s AND version = 1", id) == [(1,)]


def test_a_file_of_master_keys_says_what_is_wrong_with_it_and_never_a_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
    for text, fault in (
        ("no json", "must hold"), (json.dumps({"current": "a", "keys": {"a": secret}}), "has not 32 bytes"),
        ('{"current": "b", "keys": {}}', "names no key"), ('{"current": "a", "keys": {"a b": ""}}', "letters"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(masters.MasterKeyUnavailable, match=fault) as refused:
            masters.FileMasters(path).wrap(sealing.draw(), bound="x")
        assert secret not in str(refused.value)
    with pytest.raises(masters.MasterKeyUnavailable, match=r"docs/keys\.md"):
        masters.FileMasters(tmp_path / "none").wrap(sealing.draw(), bound="x")
