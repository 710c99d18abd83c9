"""The trend endpoint: the patient's own days, what was said on each, and nothing for strangers."""

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from lxml import etree

from backend.accounts import access, people
from tests.cast import Cast
from tests.insights.diary import Diary

MUMBAI = ZoneInfo("Asia/Kolkata")
NOW = datetime(2026, 11, 24, 18, 38, tzinfo=MUMBAI)
TODAY = date(2026, 11, 24)


@pytest.fixture
def diary(cast: Cast) -> Diary:
    return Diary(cast.patient, cast.clinic)


@pytest.fixture(autouse=True)
def evening() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


def trend(cast: Cast, query: str = "", *, status: int = 200) -> Any:
    answer = cast.client(cast.psychiatrist).send("get", f"patients/{cast.patient.id}/trend{query}")
    assert answer.status_code == status, answer.content
    return answer.json()


def day(told: Any, on: date) -> Any:
    return next(d for d in told["days"] if d["on"] == on.isoformat())


def at(hour: int, minute: int = 0, *, on: date = TODAY) -> datetime:
    return datetime(on.year, on.month, on.day, hour, minute, tzinfo=MUMBAI)


def test_ninety_days_that_end_with_today_and_silence_is_null(cast: Cast) -> None:
    told = trend(cast)
    assert told["patient"] == str(cast.patient.id)
    assert told["time_zone"] == "Asia/Kolkata"
    assert (told["since"], told["until"]) == ("2026-08-27", "2026-11-25")
    assert len(told["days"]) == 90
    assert told["days"][-1] == {
        "on": "2026-11-24", "mood": None, "mean_7d": None, "sleep": None, "exercise": None, "nutrition": None,
        "substances": [], "abstained": [], "near_session": False,
    }  # fmt: skip
    assert (told["markers"], told["scores"], told["baseline"], told["warnings"]) == ([], [], None, [])


def test_everything_said_on_a_day_stands_at_that_day(cast: Cast, diary: Diary) -> None:
    diary.mood(at(8), 4)
    diary.mood(at(18), 7)
    diary.sleep(TODAY, at(8), minutes_asleep=432, quality=7)
    diary.exercise(at(7), 20)
    diary.exercise(at(17), 25)
    diary.food(TODAY, at(13), meals=3, water_ml=1800)
    diary.substance(TODAY, at(18), "alcohol", used=False)
    diary.substance(TODAY, at(18), "nicotine", used=True)
    told = day(trend(cast, "?days=7"), TODAY)
    assert told == {
        "on": "2026-11-24", "mood": {"mean": 5.5, "count": 2}, "mean_7d": None,
        "sleep": {"minutes": 432, "quality": 7}, "exercise": {"minutes": 45},
        "nutrition": {"meals": 3, "water_ml": 1800, "quality": None}, "substances": ["nicotine"],
        "abstained": ["alcohol"], "near_session": False,
    }  # fmt: skip


def test_an_entry_belongs_to_the_patients_day_and_not_to_utcs(cast: Cast, diary: Diary) -> None:
    diary.mood(at(0, 10), 2)  # 18:40 of the day before in UTC
    diary.mood(at(23, 59, on=TODAY - timedelta(days=1)), 8)
    told = trend(cast, "?days=3")
    assert day(told, TODAY)["mood"] == {"mean": 2.0, "count": 1}
    assert day(told, TODAY - timedelta(days=1))["mood"] == {"mean": 8.0, "count": 1}


def test_who_moves_keeps_the_days_as_they_were_lived(cast: Cast, diary: Diary) -> None:
    diary.mood(at(0, 30, on=date(2026, 11, 20)), 3)
    with access.acting_as(None, cast.clinic.id, "move"):
        people.change_zone(
            person=cast.patient, time_zone="America/New_York", now=datetime(2026, 11, 21, 12, tzinfo=UTC)
        )
    diary.mood(datetime(2026, 11, 23, 23, 30, tzinfo=ZoneInfo("America/New_York")), 6)
    told = trend(cast, "?days=7")
    assert told["time_zone"] == "America/New_York"
    assert day(told, date(2026, 11, 20))["mood"] == {"mean": 3.0, "count": 1}
    assert day(told, date(2026, 11, 23))["mood"] == {"mean": 6.0, "count": 1}


def test_the_mean_of_seven_days_looks_back_before_the_range(cast: Cast, diary: Diary) -> None:
    diary.moods(last=at(9), days=10, mood=6)
    told = trend(cast, "?days=2")
    assert [d["mean_7d"] for d in told["days"]] == [6.0, 6.0]


def test_a_session_is_a_marker_and_marks_what_follows_for_24_hours(cast: Cast, diary: Diary) -> None:
    session = diary.session(at(10, on=TODAY - timedelta(days=1)), dose="37.5")
    diary.session(at(10, on=TODAY - timedelta(days=3)), status="cancelled")
    diary.session(at(10, on=TODAY + timedelta(days=1)), status="planned")
    diary.mood(at(9), 7)
    diary.mood(at(9, on=TODAY - timedelta(days=2)), 5)
    told = trend(cast, "?days=7")
    assert told["markers"] == [
        {
            "kind": "session", "at": "2026-11-23T04:30:00Z", "session": str(session.id), "ended_at": None,
            "route": "iv", "dose_mg": 37.5,
        }
    ]  # fmt: skip
    assert day(told, TODAY)["near_session"] is True
    assert day(told, TODAY - timedelta(days=2))["near_session"] is False


@pytest.mark.parametrize(
    ("after", "near"),
    [
        (timedelta(0), True),
        (timedelta(hours=24) - timedelta(microseconds=1), True),
        (timedelta(hours=24), False),
        (-timedelta(microseconds=1), False),
    ],
)
def test_near_is_from_a_sessions_start_until_just_before_24_hours(
    cast: Cast, diary: Diary, after: timedelta, near: bool
) -> None:
    starts_at = at(10, on=TODAY - timedelta(days=1))
    diary.session(starts_at)
    diary.session(starts_at + timedelta(minutes=5), status="cancelled")
    diary.mood(starts_at + after, 7)
    assert any(d["near_session"] for d in trend(cast, "?days=4")["days"]) is near
    picture = cast.client(cast.psychiatrist).send("get", f"patients/{cast.patient.id}/trend.svg?days=4").content
    shapes = [e for e in etree.fromstring(picture).iter() if "c-dot" in e.get("class", "").split()]
    assert [e.tag.endswith("path") for e in shapes] == [near]


def test_a_session_just_before_the_range_marks_its_first_day(cast: Cast, diary: Diary) -> None:
    diary.session(at(10, on=TODAY - timedelta(days=8)))
    diary.mood(at(9, on=TODAY - timedelta(days=7)), 7)
    told = trend(cast, "?days=8")
    assert told["days"][0]["near_session"] is True
    assert told["markers"] == []


def test_what_was_deleted_is_gone(cast: Cast, diary: Diary) -> None:
    diary.mood(at(9), 1, deleted_at=at(10))
    diary.sleep(TODAY, at(9), minutes_asleep=300, deleted_at=at(10))
    diary.exercise(at(9), 30, deleted_at=at(10))
    diary.food(TODAY, at(9), meals=1, deleted_at=at(10))
    diary.substance(TODAY, at(9), "alcohol", used=True, deleted_at=at(10))
    diary.session(at(9), deleted_at=at(10))
    told = trend(cast, "?days=1")
    assert set(map(str, told["days"][0].values())) == {"2026-11-24", "None", "[]", "False"}
    assert told["markers"] == []


def test_a_night_has_one_value_the_patients_own_before_an_imported_one(cast: Cast, diary: Diary) -> None:
    diary.sleep(TODAY, at(9), minutes_asleep=300, source="import")
    diary.sleep(TODAY, at(7), minutes_asleep=410, quality=6)
    yesterday = TODAY - timedelta(days=1)
    diary.sleep(yesterday, at(7), minutes_asleep=400)
    diary.sleep(yesterday, at(8), asleep_at=at(0, on=yesterday), awake_at=at(6, 30, on=yesterday))
    told = trend(cast, "?days=2")
    assert day(told, TODAY)["sleep"] == {"minutes": 410, "quality": 6}
    assert day(told, yesterday)["sleep"] == {"minutes": 390, "quality": None}


def test_two_answers_about_one_substance_are_one_and_yes_wins(cast: Cast, diary: Diary) -> None:
    diary.substance(TODAY, at(8), "alcohol", used=True)
    diary.substance(TODAY, at(20), "alcohol", used=False)
    told = day(trend(cast, "?days=1"), TODAY)
    assert (told["substances"], told["abstained"]) == (["alcohol"], [])


def test_the_patient_reads_the_own_trend_in_the_same_shape(cast: Cast, diary: Diary) -> None:
    diary.mood(at(9), 7)
    own = cast.client(cast.patient).send("get", "me/trend?days=14")
    assert own.status_code == 200
    assert own.json() == trend(cast, "?days=14")
    assert own["Content-Type"] == "application/json"
    assert cast.client(cast.patient).send("get", f"patients/{cast.patient.id}/trend").status_code == 200


def test_since_and_until_choose_the_days(cast: Cast) -> None:
    told = trend(cast, "?since=2026-03-01&until=2026-03-04")
    assert [d["on"] for d in told["days"]] == ["2026-03-01", "2026-03-02", "2026-03-03"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("?days=0", "days"),
        ("?days=-1", "days"),
        ("?days=1e3", "days"),
        ("?days=99999999999999999999", "days"),
        ("?days=1831", "days"),
        ("?days=", "days"),
        ("?since=2026-02-30", "since"),
        ("?since=0001-01-01", "since"),
        ("?until=9999-12-31", "until"),
        ("?since=2026-03-04&until=2026-03-04", "until"),
        ("?since=2000-01-01", "since"),
        ("?days=3&since=2026-03-01&until=2026-03-04", "days"),
        ("?day=3", "day"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused_by_name(cast: Cast, query: str, pointer: str) -> None:
    told = trend(cast, query, status=400)
    assert told["errors"][0]["pointer"] == pointer
    for door in ("me/trend", f"patients/{cast.patient.id}/trend.svg"):
        refused = cast.client(cast.patient).send("get", door + query)
        assert refused.status_code == 400
        assert refused["Content-Type"] == "application/problem+json"


def test_strangers_get_404_and_the_signed_out_401(cast: Cast) -> None:
    nobody_knows = uuid.uuid4()
    for person in (cast.outsider, cast.outside_patient, cast.other_patient, cast.nurse):
        client = cast.client(person)
        for path in (f"patients/{cast.patient.id}/trend", f"patients/{cast.patient.id}/trend.svg"):
            assert client.send("get", path).status_code == 404, (person.full_name, path)
    assert cast.client(cast.psychiatrist).send("get", f"patients/{nobody_knows}/trend").status_code == 404
    assert cast.client(cast.psychiatrist).send("get", "me/trend").status_code == 403
    assert cast.client(cast.administrator).send("get", f"patients/{cast.patient.id}/trend").status_code == 403
    for path in ("me/trend", f"patients/{cast.patient.id}/trend", f"patients/{cast.patient.id}/trend.svg"):
        assert cast.client().send("get", path).status_code == 401


def test_the_picture_stands_alone(cast: Cast, diary: Diary) -> None:
    diary.moods(last=at(9), days=40, mood=6)
    answer = cast.client(cast.psychiatrist).send("get", f"patients/{cast.patient.id}/trend.svg?days=84")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("image/svg+xml")
    assert etree.fromstring(answer.content).get("width") == "824"
    assert "style=" not in answer.content.decode()


def test_one_statement_reads_it_all_however_long_the_range(cast: Cast, diary: Diary) -> None:
    diary.moods(last=at(9), days=300, mood=6)
    counts = []
    for query in ("?days=7", "?days=730"):
        with CaptureQueriesContext(connection) as queries:
            trend(cast, query)
        counts.append(len([q for q in queries if "aftercare_moodcheckin" in q["sql"]]))
    assert counts == [1, 1]
