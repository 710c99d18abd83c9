"""Annotations: the care team's words beside the patient's; whose they are, who reads them, and what no query shows."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.utils import ProgrammingError

from backend.accounts import access, people
from backend.accounts.models import Person, Role
from backend.common import clock
from backend.treatment.models import Annotation
from tests.cast import Cast

AT = "2026-11-20T08:00:00+05:30"
BODY: dict[str, Any] = {"about": {"at": AT}, "text": "Dose halved today."}


def path(cast: Cast, id: uuid.UUID | str = "") -> str:
    return f"patients/{cast.patient.id}/annotations" + (f"/{id}" if id else "")


def write(cast: Cast, author: Person, **more: Any) -> Any:
    answer = cast.client(author).send("PUT", path(cast, uuid.uuid4()), {**BODY, **more})
    assert answer.status_code == 201, answer.content
    return answer.json()


def read(cast: Cast, reader: Person, query: str = "") -> list[Any]:
    answer = cast.client(reader).send("GET", path(cast) + query)
    assert answer.status_code == 200, answer.content
    results: list[Any] = answer.json()["results"]
    return results


def in_both_clinics(cast: Cast) -> None:
    with access.maintaining("test"):
        people.join(person=cast.patient, clinic=cast.elsewhere, role=Role.PATIENT, now=clock.now())
        people.put_on_care_team(
            clinic_id=cast.elsewhere.id, patient_id=cast.patient.id, member_id=cast.outsider.id, now=clock.now()
        )


def test_twice_is_the_same_as_once(cast: Cast) -> None:
    desk, where = cast.client(cast.psychiatrist), path(cast, uuid.uuid4())
    first, second = desk.send("PUT", where, BODY), desk.send("PUT", where, BODY)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json() == desk.send("GET", where).json()
    assert first["ETag"] == second["ETag"] == '"1"'
    told = first.json()
    assert told["author"] == {"id": str(cast.psychiatrist.id), "name": "Psychiatrist"}
    assert told["about"] == {"at": "2026-11-20T02:30:00+00:00", "since": None, "until": None, "type": None, "id": None}
    assert (told["at"], told["private"], told["version"]) == ("2026-11-20T02:30:00+00:00", False, 1)
    assert desk.send("PUT", where, told).status_code == 200  # as it was read it can be sent back


def test_versions_decide_and_late_copies_change_nothing(cast: Cast) -> None:
    desk, where = cast.client(cast.psychiatrist), path(cast, uuid.uuid4())
    desk.send("PUT", where, BODY)
    newer = {**BODY, "text": "Dose halved, on request."}
    assert desk.send("PUT", where, newer, If_Match='"1"').json()["version"] == 2
    assert desk.send("PUT", where, newer, If_Match='"1"').json()["version"] == 2
    assert desk.send("PUT", where, BODY).json()["text"] == newer["text"]
    stale = desk.send("PUT", where, {**BODY, "text": "Something else."}, If_Match='"1"')
    assert (stale.status_code, stale.json()["current"]["text"]) == (412, newer["text"])
    assert desk.send("PUT", path(cast, uuid.uuid4()), BODY, If_Match='"1"').status_code == 404


def test_a_patch_changes_what_it_names(cast: Cast) -> None:
    desk, where = cast.client(cast.psychiatrist), path(cast, uuid.uuid4())
    desk.send("PUT", where, BODY)
    told = desk.send("PATCH", where, {"private": True}).json()
    assert (told["private"], told["text"], told["version"]) == (True, BODY["text"], 2)
    told = desk.send("PATCH", where, {"about": {"at": None, "since": "2026-11-03"}}).json()
    assert told["about"] == {"at": None, "since": "2026-11-03", "until": "2026-11-04", "type": None, "id": None}
    assert desk.send("PATCH", where, {"text": None}).status_code == 400
    assert desk.send("PATCH", where, {"text": "late"}, If_Match='"1"').status_code == 412
    assert desk.send("PATCH", where, {"colour": "red"}).json()["errors"][0]["pointer"] == "/colour"


def test_who_deleted_it_is_told_so_and_can_bring_it_back(cast: Cast) -> None:
    desk, where = cast.client(cast.psychiatrist), path(cast, uuid.uuid4())
    desk.send("PUT", where, BODY)
    assert desk.send("DELETE", where, If_Match='"7"').status_code == 412
    assert desk.send("DELETE", where, If_Match='"1"')["ETag"] == '"2"'
    gone = desk.send("GET", where)
    assert (gone.status_code, gone.json()["version"]) == (410, 2)
    assert [desk.send(verb, where, BODY).status_code for verb in ("DELETE", "PATCH", "PUT")] == [410] * 3
    for reader in (cast.therapist, cast.patient):
        assert cast.client(reader).send("GET", where).status_code == 404
        assert read(cast, reader) == []
    back = desk.send("PUT", where, BODY, If_Match='"2"')
    assert (back.status_code, back.json()["version"]) == (200, 3)
    assert len(read(cast, cast.patient)) == 1


def test_only_its_author_changes_it_and_the_team_reads_it(cast: Cast) -> None:
    told = write(cast, cast.psychiatrist)
    where, colleague = path(cast, told["id"]), cast.client(cast.therapist)
    assert colleague.send("GET", where).json() == told
    for verb in ("PUT", "PATCH", "DELETE"):
        answer = colleague.send(verb, where, {**BODY, "text": "No."} if verb != "PATCH" else {"text": "No."})
        assert (answer.status_code, answer.json()["code"]) == (403, "not_the_author")
    assert read(cast, cast.therapist) == [told]


def test_the_patient_reads_what_is_not_private_and_knows_only_the_own_team(cast: Cast) -> None:
    told = write(cast, cast.therapist)
    secret = write(cast, cast.psychiatrist, private=True, text="Ask about the brother.")
    assert [row["id"] for row in read(cast, cast.patient)] == [told["id"]]
    assert read(cast, cast.patient)[0]["author"] == {"id": str(cast.therapist.id), "name": "Therapist"}
    assert cast.client(cast.patient).send("GET", path(cast, secret["id"])).status_code == 404
    with access.maintaining("test"):
        people.take_off_care_team(
            clinic_id=cast.clinic.id, patient_id=cast.patient.id, member_id=cast.therapist.id, now=clock.now()
        )
    phone = cast.client(cast.patient)
    for shown in (read(cast, cast.patient)[0], phone.send("GET", path(cast, told["id"])).json()):
        assert shown["author"] == {"id": None, "name": "your clinic"}
    assert {row["author"]["name"] for row in read(cast, cast.psychiatrist)} == {"Therapist", "Psychiatrist"}
    assert phone.send("PUT", path(cast, uuid.uuid4()), BODY).status_code == 403


def test_strangers_get_404_those_without_clinical_sight_403(cast: Cast) -> None:
    told = write(cast, cast.psychiatrist)
    where = path(cast, told["id"])
    for person, status in (
        (cast.outsider, 404), (cast.nurse, 404), (cast.other_patient, 404), (cast.outside_patient, 404),
        (cast.administrator, 403), (cast.auditor, 403),
    ):  # fmt: skip
        client = cast.client(person)
        assert client.send("GET", path(cast)).status_code == status, person.full_name
        assert client.send("GET", where).status_code == status, person.full_name
        if person not in {cast.other_patient, cast.outside_patient}:
            assert client.send("PUT", where, BODY).status_code == status, person.full_name
            assert client.send("PATCH", where, {"text": "x"}).status_code == status, person.full_name
            assert client.send("DELETE", where).status_code == status, person.full_name
    assert cast.client().send("GET", path(cast)).status_code == 401
    elsewhere = f"patients/{cast.other_patient.id}/annotations/{told['id']}"
    assert cast.client(cast.psychiatrist).send("GET", elsewhere).status_code == 404
    assert cast.client(cast.psychiatrist).send("PUT", elsewhere, BODY).status_code == 404


def test_each_clinic_of_a_patient_has_its_own_and_the_patient_reads_both(cast: Cast) -> None:
    in_both_clinics(cast)
    ours, theirs = write(cast, cast.psychiatrist), write(cast, cast.outsider)
    write(cast, cast.outsider, private=True)
    assert [row["id"] for row in read(cast, cast.psychiatrist)] == [ours["id"]]
    assert len(read(cast, cast.outsider)) == 2
    assert {row["id"] for row in read(cast, cast.patient)} == {ours["id"], theirs["id"]}
    for verb in ("GET", "PUT", "PATCH", "DELETE"):
        answer = cast.client(cast.psychiatrist).send(verb, path(cast, theirs["id"]), BODY)
        assert answer.status_code == 404, verb


def test_no_query_shows_a_private_one_to_its_patient(cast: Cast) -> None:
    in_both_clinics(cast)
    told = write(cast, cast.psychiatrist)
    secret = write(cast, cast.psychiatrist, private=True)
    write(cast, cast.outsider, private=True)
    desk = cast.client(cast.psychiatrist)
    desk.send("PATCH", path(cast, told["id"]), {"text": "Said otherwise."})
    desk.send("PATCH", path(cast, secret["id"]), {"text": "Thought otherwise."})
    history = Annotation.pgh_event_model.objects  # type: ignore[attr-defined]
    seen = {}
    for who, clinic in (
        (cast.patient, cast.clinic), (cast.psychiatrist, cast.clinic), (cast.therapist, cast.clinic),
        (cast.nurse, cast.clinic), (cast.administrator, cast.clinic), (cast.auditor, cast.clinic),
        (cast.other_patient, cast.clinic), (cast.outsider, cast.elsewhere), (cast.patient, cast.elsewhere),
    ):  # fmt: skip
        with access.acting_as(who.id, clinic.id, "forgot to filter"), connection.cursor() as cursor:
            cursor.execute("SELECT count(*), count(private_at) FROM treatment_annotation")
            seen[who.full_name, clinic.short_name] = (*cursor.fetchone(), history.count())
    assert seen == {
        ("Patient", "Sea Face"): (1, 0, 0),
        ("Psychiatrist", "Sea Face"): (2, 1, 2),
        ("Therapist", "Sea Face"): (2, 1, 2),
        ("Nurse", "Sea Face"): (0, 0, 0),
        ("Administrator", "Sea Face"): (0, 0, 0),
        ("Auditor", "Sea Face"): (0, 0, 0),
        ("Other Patient", "Sea Face"): (0, 0, 0),
        ("Outsider", "Thames"): (1, 1, 0),
        ("Patient", "Thames"): (1, 0, 0),
    }


def test_a_clinician_who_is_a_patient_too_does_not_see_what_is_private_about_them(cast: Cast) -> None:
    with access.maintaining("test"):
        people.join(person=cast.patient, clinic=cast.clinic, role=Role.NURSE, now=clock.now())
        people.put_on_care_team(
            clinic_id=cast.clinic.id, patient_id=cast.other_patient.id, member_id=cast.patient.id, now=clock.now()
        )
    secret = write(cast, cast.psychiatrist, private=True)
    open_one = write(cast, cast.psychiatrist)
    assert [row["id"] for row in read(cast, cast.patient)] == [open_one["id"]]
    with access.acting_as(cast.patient.id, cast.clinic.id, "forgot to filter"):
        assert not Annotation.objects.filter(id=secret["id"]).exists()
    answer = cast.client(cast.patient).send("PUT", path(cast, uuid.uuid4()), BODY)
    assert answer.status_code == 403


def test_it_rests_sealed_and_what_cannot_be_opened_is_said_and_not_lost(cast: Cast) -> None:
    told, other = write(cast, cast.psychiatrist), write(cast, cast.psychiatrist)
    where, desk = path(cast, told["id"]), cast.client(cast.psychiatrist)
    desk.send("PATCH", where, {"text": "Dose halved again."})
    with access.maintaining("test"), connection.cursor() as cursor:
        cursor.execute("SELECT text FROM treatment_annotation UNION ALL SELECT text FROM treatment_annotationevent")
        assert not [text for (text,) in cursor.fetchall() if "halved" in text]
        cursor.execute(
            "UPDATE treatment_annotation SET text = "
            "(SELECT text FROM treatment_annotation WHERE id = %s) WHERE id = %s",
            [other["id"], told["id"]],
        )
    shown = desk.send("GET", where).json()
    assert (shown["text"], shown["unreadable"]) == (None, ["text"])
    happened = desk.send("GET", f"patients/{cast.patient.id}/timeline").json()["results"]
    assert {entry["detail"][:20] for entry in happened} == {"There is a note that", "Dose halved today."}
    assert desk.send("PATCH", where, {"private": True}).json()["errors"][0]["pointer"] == "/text"
    assert desk.send("PATCH", where, {"text": "Written again."}).json()["text"] == "Written again."


def test_nobody_writes_in_anothers_name_or_into_a_closed_record(cast: Cast) -> None:
    told = write(cast, cast.psychiatrist)
    row = {
        "clinic": cast.clinic, "patient": cast.patient, "author": cast.psychiatrist, "about_at": clock.now(),
        "placed_at": clock.now(), "change_number": 1, "received_at": clock.now(), "updated_at": clock.now(),
    }  # fmt: skip
    for who in (cast.therapist, cast.nurse, cast.patient, cast.administrator):
        with (
            pytest.raises(ProgrammingError, match="row-level security"),
            access.acting_as(who.id, cast.clinic.id, "write"),
        ):
            Annotation.objects.create(**row)
    for who in (cast.therapist, cast.patient, cast.nurse):
        with access.acting_as(who.id, cast.clinic.id, "write"):
            assert Annotation.objects.filter(id=told["id"]).update(version=9) == 0
            assert Annotation.objects.filter(id=told["id"]).delete()[0] == 0


def test_it_is_about_an_instant_days_or_a_record_and_stands_in_its_place(cast: Cast) -> None:
    days = write(cast, cast.psychiatrist, about={"since": "2026-11-03", "until": "2026-11-10"})
    assert (days["about"]["until"], days["at"]) == ("2026-11-10", "2026-11-02T18:30:00+00:00")
    id = str(uuid.uuid4())
    felt = {"felt_at": AT, "time_zone": "Asia/Kolkata", "mood": 2}
    cast.client(cast.patient).send("PUT", f"mood-check-ins/{id}", felt)
    answer = write(cast, cast.psychiatrist, about={"type": "mood_check_in", "id": id})
    assert (answer["about"]["id"], answer["at"]) == (id, "2026-11-20T02:30:00+00:00")
    night = str(uuid.uuid4())
    cast.client(cast.patient).send("PUT", f"sleep-logs/{night}", {"night_of": "2026-11-19", "quality": 3})
    assert write(cast, cast.psychiatrist, about={"type": "sleep_log", "id": night})["at"].startswith("2026-11-18T18:30")
    assert [row["at"][:10] for row in read(cast, cast.patient)] == ["2026-11-20", "2026-11-18", "2026-11-02"]
    assert [row["id"] for row in read(cast, cast.patient, "?since=2026-11-03&until=2026-11-20")] == [
        row["id"] for row in read(cast, cast.patient)[1:2]
    ]


@pytest.mark.parametrize(
    ("about", "pointer"),
    [
        ({}, "/about"),
        ({"at": AT, "since": "2026-11-03"}, "/about/at"),
        ({"at": "2026-11-20T08:00:00"}, "/about/at"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "/about/at"),
        ({"since": "2026-11-03", "until": "2026-11-03"}, "/about/until"),
        ({"until": "2026-11-03"}, "/about"),
        ({"since": "1000-01-01"}, "/about/since"),
        ({"type": "mood_check_in"}, "/about"),
        ({"at": AT, "type": "session"}, "/about/id"),
        ({"id": str(uuid.UUID(int=3))}, "/about/type"),
        ({"type": "diary", "id": str(uuid.UUID(int=3))}, "/about/type"),
        ({"type": "session", "id": str(uuid.UUID(int=3))}, "/about/id"),
        ({"type": "sleep_log", "id": str(uuid.UUID(int=3))}, "/about/id"),
        ({"at": AT, "colour": "red"}, "/about/colour"),
        ("yesterday", "/about"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(cast: Cast, about: Any, pointer: str) -> None:
    answer = cast.client(cast.psychiatrist).send("PUT", path(cast, uuid.uuid4()), {**BODY, "about": about})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer)


def test_it_points_at_no_record_of_another_clinic_or_patient(cast: Cast) -> None:
    in_both_clinics(cast)
    visit = {"kind": "therapy", "starts_at": clock.now().isoformat(), "minutes": 50}
    for owner, clinician in ((cast.patient, cast.outsider), (cast.other_patient, cast.psychiatrist)):
        id = str(uuid.uuid4())
        made = cast.client(clinician).send("PUT", f"appointments/{id}", {**visit, "patient": str(owner.id)})
        assert made.status_code == 201
        body = {**BODY, "about": {"type": "appointment", "id": id}}
        answer = cast.client(cast.psychiatrist).send("PUT", path(cast, uuid.uuid4()), body)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unknown")


def test_pages_meet_and_say_each_once(cast: Cast) -> None:
    for n in range(5):
        at = datetime(2026, 11, 20, tzinfo=UTC) - timedelta(hours=n // 2)
        write(cast, cast.psychiatrist, about={"at": at.isoformat()})
    client, address, seen = cast.client(cast.therapist), path(cast) + "?limit=2", []
    while address:
        page = client.send("GET", address).json()
        seen += [row["id"] for row in page["results"]]
        address = page["next"]
    assert seen == [row["id"] for row in read(cast, cast.therapist)]
    assert len(set(seen)) == 5


def test_it_is_a_marker_of_the_trend_for_those_who_may_read_it(cast: Cast) -> None:
    told = write(cast, cast.psychiatrist, about={"since": "2026-11-03", "until": "2026-11-10"})
    secret = write(cast, cast.psychiatrist, private=True)

    def markers(who: Person, path: str) -> list[Any]:
        found: list[Any] = cast.client(who).send("GET", path + "?since=2026-11-05&until=2026-11-24").json()["markers"]
        return found

    team = markers(cast.therapist, f"patients/{cast.patient.id}/trend")
    assert [(m["kind"], m["annotation"], m["private"]) for m in team] == [
        ("annotation", told["id"], False), ("annotation", secret["id"], True),
    ]  # fmt: skip
    assert (team[0]["at"], team[0]["ended_at"]) == ("2026-11-02T18:30:00Z", "2026-11-09T18:30:00Z")
    assert [m["annotation"] for m in markers(cast.patient, "me/trend")] == [told["id"]]
    in_both_clinics(cast)
    assert markers(cast.outsider, f"patients/{cast.patient.id}/trend") == []
