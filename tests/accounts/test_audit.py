"""The audit trail: one event for each read and write, by whatever way it was done, and who may see it."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction

from backend.accounts import access, people
from backend.accounts.models import NOWHERE, Role
from backend.common import clock
from tests.accounts.trail import events, send, told
from tests.aftercare.test_logs import BODIES
from tests.cast import PASSWORD, Cast

SIGN_IN = "auth/app/v1/auth/login"


def _check_in(cast: Cast) -> tuple[str, Any]:
    path = f"mood-check-ins/{uuid.uuid4()}"
    return path, cast.client(cast.patient)


def test_each_write_of_a_record_is_one_event(cast: Cast) -> None:
    path, phone = _check_in(cast)
    id = uuid.UUID(path.split("/")[1])
    body = BODIES["mood-check-ins"]
    for verb, sent, action in (
        ("PUT", body, ["create"]),
        ("PUT", body, []),
        ("PUT", {**body, "mood": 3}, ["update"]),
        ("DELETE", None, ["delete"]),
    ):
        answer, left = send(phone, verb, path, sent)
        assert answer.status_code < 300
        assert [event.action for event in left] == action
        for event in left:
            assert (event.object_type, event.object_ids, event.patients) == ("mood-check-ins", [id], [cast.patient.id])
            assert (event.person_id, event.clinic_id, event.roles) == (cast.patient.id, cast.clinic.id, "patient")
            assert (event.address, len(bytes(event.digest))) == ("127.0.0.1", 32)


def test_a_batch_is_one_event_with_all_its_ids(cast: Cast) -> None:
    records = [{"id": str(uuid.uuid4()), **BODIES["mood-check-ins"]} for _ in range(200)]
    answer, left = send(cast.client(cast.patient), "POST", "mood-check-ins/batch", {"records": records})
    assert answer.status_code == 200
    assert [event.action for event in left] == ["create"]
    assert {str(id) for id in left[0].object_ids} == {record["id"] for record in records}


def test_each_read_by_the_care_team_is_one_event_with_its_patients(cast: Cast) -> None:
    desk = cast.client(cast.psychiatrist)
    for path, action, kind, patients in (
        (f"patients/{cast.patient.id}", "read", "patients", {cast.patient.id}),
        (f"patients/{cast.patient.id}/trend", "read", "patients/trend", {cast.patient.id}),
        (f"patients/{cast.patient.id}/trend.svg", "read", "patients/trend.svg", {cast.patient.id}),
        ("patients", "list", "patients", {cast.patient.id, cast.other_patient.id}),
        (f"mood-check-ins?patient={cast.patient.id}", "list", "mood-check-ins", {cast.patient.id}),
        ("appointments", "list", "appointments", set()),
    ):
        for _ in range(2):
            answer, left = send(desk, "GET", path)
            assert answer.status_code == 200
            assert [(e.action, e.object_type, set(e.patients)) for e in left] == [(action, kind, patients)]


def test_a_persons_own_reads_are_one_event_for_each_device_and_hour(cast: Cast) -> None:
    for _ in range(3):
        for path in ("me", "me/trend", "mood-check-ins", "reminders"):
            assert cast.client(cast.patient).send("GET", path).status_code == 200
    mine = [event for event in events(person_id=cast.patient.id) if event.action in {"read", "list"}]
    assert len(mine) == 1
    assert mine[0].patients == [cast.patient.id]


def test_what_was_not_shown_is_told_as_refused(cast: Cast) -> None:
    answer, left = send(cast.client(cast.outsider), "GET", f"patients/{cast.patient.id}/trend")
    assert answer.status_code == 404
    assert [(e.action, e.object_ids, e.patients) for e in left] == [("refused", [cast.patient.id], [])]
    assert left[0].clinic_id == cast.elsewhere.id
    answer, left = send(cast.client(cast.patient), "GET", "patients")
    assert (answer.status_code, told(request_id=left[0].request_id)) == (403, [("refused", "patients")])
    answer, left = send(cast.client(cast.patient), "GET", "me", X_Clinic=str(cast.elsewhere.id))
    assert (answer.status_code, [e.reason for e in left]) == (403, ["403 not_a_member"])
    assert send(cast.client(), "GET", "me")[1] == []


def test_a_refusal_that_shows_the_record_is_a_read(cast: Cast) -> None:
    desk, path = cast.client(cast.psychiatrist), f"appointments/{uuid.uuid4()}"
    at = (clock.now() + timedelta(days=3)).isoformat()
    body = {"patient": str(cast.patient.id), "kind": "therapy", "starts_at": at, "minutes": 50}
    assert desk.send("PUT", path, body).status_code == 201
    answer, left = send(desk, "PUT", path, {**body, "minutes": 30}, If_Match='"7"')
    assert answer.status_code == 412
    assert answer.json()["current"]["minutes"] == 50
    assert [(e.action, e.patients) for e in left] == [("read", [cast.patient.id])]


def test_a_write_that_changes_nothing_but_shows_the_record_is_a_read(cast: Cast) -> None:
    desk, path = cast.client(cast.psychiatrist), f"appointments/{uuid.uuid4()}"
    at = (clock.now() + timedelta(days=3)).isoformat()
    body = {"patient": str(cast.patient.id), "kind": "therapy", "starts_at": at, "minutes": 50}
    _, left = send(desk, "PUT", path, body)
    assert {(e.action, e.object_type) for e in left} == {
        ("create", "appointments"), ("create", "appointments/occurrences")
    }  # fmt: skip
    _, left = send(desk, "PUT", path, body)
    assert [(e.action, e.patients) for e in left] == [("read", [cast.patient.id])]


def test_sql_by_hand_is_told_to_the_clinic_of_the_patient(cast: Cast) -> None:
    path, phone = _check_in(cast)
    assert phone.send("PUT", path, BODIES["mood-check-ins"]).status_code == 201
    id = path.split("/")[1]
    before = len(events())
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute("SELECT set_config('afterglow.purpose', 'maintenance: by hand', true)")
        cursor.execute("UPDATE aftercare_moodcheckin SET mood = 0 WHERE id = %s", [id])
        cursor.execute("SELECT set_config('afterglow.purpose', '', true)")
    with transaction.atomic(), connection.cursor() as cursor:  # as the application's role, with a context half true
        cursor.execute("SELECT set_config('afterglow.person', %s, true)", [str(cast.patient.id)])
        cursor.execute("DELETE FROM aftercare_moodcheckin WHERE id = %s", [id])
    last = events()[before:]
    assert [(e.action, e.clinic_id, e.patients) for e in last] == [
        ("update", cast.clinic.id, [cast.patient.id]),
        ("delete", cast.clinic.id, [cast.patient.id]),
    ]
    assert (last[0].person_id, last[0].purpose) == (None, "maintenance: by hand")


def test_a_statement_over_many_rows_is_told_in_parts(cast: Cast) -> None:
    with access.maintaining("load"), connections["owner"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO aftercare_nutritionlog (id, patient_id, version, change_number, received_at, updated_at, "
            "source, day, note) SELECT gen_random_uuid(), %s, 1, 1, now(), now(), 'patient', '2026-01-01', '' "
            "FROM generate_series(1, 2500)",
            [cast.patient.id],
        )
    with access.maintaining("emptying"), connections["owner"].cursor() as cursor:
        cursor.execute("TRUNCATE aftercare_nutritionlog")
    left = events(object_type="nutrition-logs")
    assert sorted(len(e.object_ids) for e in left) == [0, 500, 1000, 1000]
    assert len({id for e in left for id in e.object_ids}) == 2500
    assert left[-1].reason == "all rows, by TRUNCATE"


def test_nobody_changes_what_was_told(cast: Cast) -> None:
    for alias in ("default", "owner", "dispatch"):
        for statement in (
            "UPDATE accounts_auditevent SET reason = 'nothing'",
            "DELETE FROM accounts_auditevent",
            "TRUNCATE accounts_auditevent",
            "UPDATE accounts_auditlink SET number = 1",
            "DELETE FROM accounts_auditlink",
        ):
            with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
                cursor.execute("SELECT set_config('afterglow.purpose', 'maintenance: meddling', true)")
                with pytest.raises(DatabaseError):
                    cursor.execute(statement)
    with transaction.atomic(), connection.cursor() as cursor, pytest.raises(DatabaseError):
        cursor.execute("INSERT INTO accounts_auditevent (id, done_at) VALUES (gen_random_uuid(), now())")


def test_signing_in_and_out_is_told_and_what_failed_too(cast: Cast) -> None:
    client = cast.client()
    credentials = {"email": cast.psychiatrist.email, "password": PASSWORD}
    assert client.send("POST", SIGN_IN, {**credentials, "password": "wrong"}).status_code == 400
    assert client.send("POST", SIGN_IN, {**credentials, "email": "nobody@example.org"}).status_code == 400
    answer = client.send("POST", SIGN_IN, credentials)
    token = answer.json()["meta"]["session_token"]
    assert client.send("DELETE", "auth/app/v1/auth/session", Authorization=f"Bearer {token}").status_code == 401
    found = events(object_type="sign-in")
    assert [(e.action, e.person_id, e.clinic_id) for e in found] == [
        ("sign_in_failed", cast.psychiatrist.id, cast.clinic.id),
        ("sign_in_failed", None, NOWHERE),
        ("sign_in", cast.psychiatrist.id, cast.clinic.id),
        ("sign_out", cast.psychiatrist.id, cast.clinic.id),
    ]
    assert {e.address for e in found} == {"127.0.0.1"}


def test_too_many_attempts_are_told(cast: Cast) -> None:
    for _ in range(6):
        cast.client().send("POST", SIGN_IN, {"email": cast.patient.email, "password": "wrong"})
    assert [e.reason for e in events(action="sign_in_failed")][-1] == "too many attempts"
    assert len(events(action="sign_in_failed", person_id=cast.patient.id)) == 6


def test_the_address_is_the_one_that_own_proxies_saw(cast: Cast, settings: Any) -> None:
    desk, forged = cast.client(cast.psychiatrist), {"X_Forwarded_For": "203.0.113.9, 198.51.100.7"}
    for proxies, address in ((0, "127.0.0.1"), (1, "198.51.100.7"), (2, "203.0.113.9"), (3, "127.0.0.1")):
        settings.TRUSTED_PROXY_COUNT = proxies
        _, left = send(desk, "GET", "patients", **forged)
        assert [e.address for e in left] == [address]


def test_overseers_see_their_clinics_trail_and_that_is_told_too(cast: Cast) -> None:
    cast.client(cast.psychiatrist).send("GET", f"patients/{cast.patient.id}")
    for person in (cast.administrator, cast.auditor):
        answer, left = send(cast.client(person), "GET", f"audit?patient={cast.patient.id}&action=read")
        row = answer.json()["results"][0]
        assert (row["action"], row["object"]["type"], row["object"]["id"]) == ("read", "patients", str(cast.patient.id))
        assert row["actor"] == {
            "id": str(cast.psychiatrist.id), "role": "psychiatrist", "name": cast.psychiatrist.full_name
        }  # fmt: skip
        assert [(e.action, e.object_type) for e in left] == [("list", "audit")]
        assert cast.client(person).send("GET", f"audit/{row['id']}").json() == row
    for stranger in (cast.outsider, cast.psychiatrist, cast.nurse):
        assert cast.client(stranger).send("GET", "audit").status_code == 403
    with access.maintaining("test"):
        people.join(person=cast.outsider, clinic=cast.elsewhere, role=Role.ADMINISTRATOR, now=clock.now())
    theirs = cast.client(cast.outsider)
    assert theirs.send("GET", f"audit/{row['id']}").status_code == 404
    assert str(cast.patient.id) not in theirs.send("GET", "audit?action=read&limit=500").content.decode()


def test_a_patient_sees_who_looked_and_no_strangers_names(cast: Cast) -> None:
    cast.client(cast.psychiatrist).send("GET", f"patients/{cast.patient.id}/trend")
    cast.client(cast.administrator).send("GET", f"patients/{cast.patient.id}/care-team")
    cast.client(cast.psychiatrist).send("GET", f"patients/{cast.other_patient.id}")
    cast.client(cast.psychiatrist).send("GET", "patients")
    answer = cast.client(cast.patient).send("GET", "audit?limit=500")
    rows = [row for row in answer.json()["results"] if row["actor"]["role"] in {"psychiatrist", "administrator"}]
    assert [(row["object"]["type"], row["actor"]["name"]) for row in rows] == [
        ("patients", cast.psychiatrist.full_name),
        ("patients/care-team", f"a member of staff at {cast.clinic.name}"),
        ("patients/trend", cast.psychiatrist.full_name),
    ]
    assert rows[1]["actor"]["id"] is None
    assert rows[0]["from"] == {"address": None, "device": None}
    text = answer.content.decode()
    for stranger in (cast.other_patient, cast.administrator):
        assert str(stranger.id) not in text
        assert stranger.full_name not in text.replace(cast.psychiatrist.full_name, "")
    others = events(patients__contains=[cast.other_patient.id], object_type="patients", object_ids__len=1)
    assert cast.client(cast.patient).send("GET", f"audit/{others[0].id}").status_code == 404


def test_the_trail_comes_in_pages_and_by_time(cast: Cast) -> None:
    desk = cast.client(cast.psychiatrist)
    for _ in range(5):
        desk.send("GET", "patients")
    office = cast.client(cast.auditor)
    query = f"audit?person={cast.psychiatrist.id}&action=list&limit=2"
    first = office.send("GET", query).json()
    second = office.send("GET", first["next"]).json()
    third = office.send("GET", second["next"]).json()
    ids = [row["id"] for page in (first, second, third) for row in page["results"]]
    assert (len(ids), len(set(ids)), third["next"]) == (5, 5, None)
    at = second["results"][0]["at"].replace("+", "%2B")
    newer = office.send("GET", f"audit?person={cast.psychiatrist.id}&action=list&since={at}").json()["results"]
    older = office.send("GET", f"audit?person={cast.psychiatrist.id}&action=list&until={at}").json()["results"]
    assert [row["id"] for row in (*newer, *older)] == ids
    assert office.send("GET", "audit?action=nonsense").status_code == 400
    assert office.send("GET", "audit?who=me").status_code == 400


def test_a_sign_in_that_is_ended_from_elsewhere_is_told(cast: Cast) -> None:
    phone, lost = cast.client(cast.patient), cast.client(cast.patient)
    rows = phone.send("GET", "me/sessions").json()["results"]
    other = next(row["id"] for row in rows if not row["current"])
    answer, left = send(phone, "DELETE", f"me/sessions/{other}")
    assert (answer.status_code, [(e.action, e.reason) for e in left]) == (204, [("sign_out", "1 ended from elsewhere")])
    assert lost.send("GET", "me").status_code == 401
