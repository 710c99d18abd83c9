"""The timeline: everything that happened to a patient as one list, in order, page by page, for nobody else."""

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine

from backend.accounts import access, people
from backend.accounts.models import Person, Role
from tests.cast import Cast
from tests.insights.diary import Diary

MUMBAI = ZoneInfo("Asia/Kolkata")
NOW = datetime(2026, 11, 24, 18, 38, tzinfo=MUMBAI)
DAY = timedelta(days=1)


@pytest.fixture
def diary(cast: Cast) -> Diary:
    return Diary(cast.patient, cast.clinic)


@pytest.fixture(autouse=True)
def evening() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


def read(cast: Cast, reader: Person, query: str = "", *, status: int = 200) -> Any:
    answer = cast.client(reader).send("GET", f"patients/{cast.patient.id}/timeline{query}")
    assert answer.status_code == status, answer.content
    return answer.json()


def titles(cast: Cast, query: str = "", *, reader: Person | None = None) -> list[str]:
    return [entry["title"] for entry in read(cast, reader or cast.psychiatrist, query)["results"]]


def annotate(cast: Cast, author: Person, **more: Any) -> str:
    id = str(uuid.uuid4())
    body = {"about": {"at": NOW.isoformat()}, "text": "Asked for a smaller dose.", **more}
    answer = cast.client(author).send("PUT", f"patients/{cast.patient.id}/annotations/{id}", body)
    assert answer.status_code == 201, answer.content
    return id


def lived(cast: Cast, diary: Diary) -> None:
    """One of each kind, about a day apart; of the check-ins one is neither low nor has a note."""
    diary.mood(NOW - DAY, 7, note="Walked by the sea.")
    diary.mood(NOW - DAY * 1.5, 7)
    annotate(cast, cast.psychiatrist, about={"since": "2026-11-22", "until": "2026-11-24"})
    diary.mood(NOW - DAY * 2.9, 2)
    diary.side_effect(NOW - DAY * 4, "dizziness", minutes=20)
    diary.appointment(NOW - DAY * 5, kind="therapy", status="no_show")
    diary.substance(date(2026, 11, 18), NOW, "alcohol", True, amount=2, unit="glasses", note="A wedding.")
    diary.substance(date(2026, 11, 18), NOW, "nicotine", False)
    diary.session(NOW - DAY * 7, ended_at=NOW - DAY * 7 + timedelta(minutes=41))
    with access.acting_as(None, cast.clinic.id, "move"):
        people.change_zone(person=cast.patient, time_zone="Europe/London", now=NOW - DAY * 8)
        people.change_zone(person=cast.patient, time_zone="Asia/Kolkata", now=NOW - DAY * 7.5)


TOLD = [
    ("check_in", "Check-in, mood 7", "Walked by the sea."),
    ("annotation", "Annotation by Psychiatrist on 22 Nov to 23 Nov", "Asked for a smaller dose."),
    ("check_in", "Check-in, mood 2", None),
    ("side_effect", "Dizziness, mild, for 20 min", None),
    ("appointment", "Therapy, missed", None),
    ("substance_use", "Logged use of alcohol, 2 glasses", "A wedding."),
    ("session", "Session, 40 mg IV", "Took 41 min"),
    ("zone_change", "Time zone is now Kolkata", "Asia/Kolkata"),
    ("zone_change", "Time zone is now London", "Europe/London"),
]


def test_what_happened_stands_in_one_list_newest_first(cast: Cast, diary: Diary) -> None:
    lived(cast, diary)
    told = read(cast, cast.psychiatrist)
    assert [(e["kind"], e["title"], e["detail"]) for e in told["results"]] == TOLD
    assert (told["next"], told["previous"]) == (None, None)
    instants = [datetime.fromisoformat(entry["at"]) for entry in told["results"]]
    assert instants == sorted(instants, reverse=True)
    drink = next(entry for entry in told["results"] if entry["kind"] == "substance_use")
    assert (drink["on"], drink["at"]) == ("2026-11-18", "2026-11-17T18:30:00Z")
    about = {entry["kind"]: entry["about"]["type"] for entry in told["results"]}
    assert about["check_in"] == "mood_check_in"
    session = next(entry for entry in told["results"] if entry["kind"] == "session")
    assert session["about"] == {"type": "session", "id": session["id"]}


def test_the_patient_reads_the_same_in_the_own_list(cast: Cast, diary: Diary) -> None:
    lived(cast, diary)
    assert read(cast, cast.patient) == read(cast, cast.psychiatrist)


def test_strangers_get_404_and_those_without_clinical_sight_403(cast: Cast, diary: Diary) -> None:
    lived(cast, diary)
    for person in (cast.outsider, cast.nurse, cast.other_patient, cast.outside_patient):
        read(cast, person, status=404)
    for person in (cast.administrator, cast.auditor):
        read(cast, person, status=403)
    assert cast.client().send("GET", f"patients/{cast.patient.id}/timeline").status_code == 401
    assert cast.client(cast.psychiatrist).send("GET", f"patients/{uuid.uuid4()}/timeline").status_code == 404


def test_a_private_annotation_stands_only_in_the_teams_list(cast: Cast) -> None:
    annotate(cast, cast.therapist, private=True)
    annotate(cast, cast.psychiatrist)
    assert set(titles(cast)) == {"Annotation by Therapist, for the care team only", "Annotation by Psychiatrist"}
    assert titles(cast, reader=cast.patient) == ["Annotation by Psychiatrist"]
    with access.maintaining("test"):
        people.take_off_care_team(
            clinic_id=cast.clinic.id, patient_id=cast.patient.id, member_id=cast.psychiatrist.id, now=NOW
        )
    assert titles(cast, reader=cast.patient) == ["Annotation by your clinic"]


def test_of_two_clinics_each_sees_its_own_and_the_patient_both(cast: Cast, diary: Diary) -> None:
    with access.maintaining("test"):
        people.join(person=cast.patient, clinic=cast.elsewhere, role=Role.PATIENT, now=NOW)
        people.put_on_care_team(
            clinic_id=cast.elsewhere.id, patient_id=cast.patient.id, member_id=cast.outsider.id, now=NOW
        )
    elsewhere = Diary(cast.patient, cast.elsewhere)
    elsewhere.session(NOW - DAY, dose="50.0")
    elsewhere.appointment(NOW - DAY * 2, kind="follow_up")
    annotate(cast, cast.outsider)
    diary.session(NOW - DAY * 3)
    diary.mood(NOW - DAY * 4, 1)
    ours, common = ["Session, 40 mg IV"], ["Check-in, mood 1"]
    theirs = ["Annotation by Outsider", "Session, 50 mg IV", "Follow-up"]
    assert titles(cast) == [*ours, *common]
    assert titles(cast, reader=cast.outsider) == [*theirs, *common]
    assert titles(cast, reader=cast.patient) == [*theirs, *ours, *common]


def test_what_lies_ahead_or_was_deleted_is_not_told(cast: Cast, diary: Diary) -> None:
    diary.session(NOW + DAY, status="planned")
    diary.session(NOW - DAY, status="planned")
    diary.session(NOW - DAY * 2, status="cancelled")
    diary.appointment(NOW + DAY)
    diary.mood(NOW - DAY, 1, deleted_at=NOW)
    diary.mood(NOW + timedelta(minutes=4), 1)  # a phone whose clock runs ahead
    annotate(cast, cast.psychiatrist, about={"since": "2026-12-24"})
    assert titles(cast) == ["Check-in, mood 1", "Session planned, not started", "Session cancelled"]


def test_filters_choose_kind_and_time(cast: Cast, diary: Diary) -> None:
    lived(cast, diary)
    assert titles(cast, "?kind=check_in") == ["Check-in, mood 7", "Check-in, mood 2"]
    assert titles(cast, "?kind=check_in&until=2026-11-23") == ["Check-in, mood 2"]
    midnight = datetime(2026, 11, 18, tzinfo=MUMBAI)
    for since, until, there in (
        (midnight, midnight + DAY, True),
        (midnight, midnight + timedelta(microseconds=1), True),
        (midnight + timedelta(microseconds=1), midnight + DAY, False),
        (midnight - DAY, midnight, False),
    ):
        span = f"since={since.astimezone(UTC).isoformat()}&until={until.astimezone(UTC).isoformat()}".replace(
            "+", "%2B"
        )
        assert ("Logged use of alcohol, 2 glasses" in titles(cast, f"?{span}")) is there, (since, until)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("?kind=gossip", "kind"),
        ("?since=yesterday", "since"),
        ("?limit=0", "limit"),
        ("?limit=501", "limit"),
        ("?cursor=nonsense", "cursor"),
        ("?cursor=ZiBub3cgYSBiIGM", "cursor"),
        ("?status=held", "status"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(cast: Cast, query: str, pointer: str) -> None:
    assert read(cast, cast.psychiatrist, query, status=400)["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_meet_forwards_and_backwards_also_where_many_things_happened_at_once(
    cast: Cast, diary: Diary, limit: int
) -> None:
    lived(cast, diary)
    midnight = datetime(2026, 11, 18, tzinfo=MUMBAI)  # where the day of the substance log begins
    for _ in range(3):
        diary.mood(midnight, 1)
        diary.substance(date(2026, 11, 18), NOW, "cannabis", True)
    diary.side_effect(midnight, "nausea")
    diary.session(midnight)
    annotate(cast, cast.psychiatrist, about={"at": midnight.isoformat()})
    everything = [entry["id"] for entry in read(cast, cast.psychiatrist)["results"]]
    assert len(everything) == len(set(everything)) == 18
    client = cast.client(cast.psychiatrist)
    address, forth = f"patients/{cast.patient.id}/timeline?limit={limit}", []
    while address:
        page = client.send("GET", address).json()
        forth += [entry["id"] for entry in page["results"]]
        last, address = page, page["next"]
    assert forth == everything
    back = [entry["id"] for entry in last["results"]]
    while last["previous"]:
        last = client.send("GET", last["previous"]).json()
        back = [entry["id"] for entry in last["results"]] + back
    assert back == everything


def test_a_day_that_the_calendar_skipped_is_neither_lost_nor_told_twice(cast: Cast, diary: Diary) -> None:
    with access.acting_as(None, cast.clinic.id, "move"):
        people.change_zone(
            person=cast.patient, time_zone="Pacific/Honolulu", now=datetime(2026, 11, 10, 12, tzinfo=UTC)
        )
        arrived = datetime(2026, 11, 15, 11, 30, tzinfo=UTC)  # 15 November, 01:30; the next moment 16 November, 01:30
        people.change_zone(person=cast.patient, time_zone="Pacific/Kiritimati", now=arrived)
    for day in (14, 15, 16, 17):
        diary.substance(date(2026, 11, day), NOW, "alcohol", True)
    everything = [entry["id"] for entry in read(cast, cast.psychiatrist)["results"]]
    assert len(everything) == 6
    address, found = f"patients/{cast.patient.id}/timeline?limit=1", []
    while address:
        page = cast.client(cast.psychiatrist).send("GET", address).json()
        found += [entry["id"] for entry in page["results"]]
        address = page["next"]
    assert found == everything
