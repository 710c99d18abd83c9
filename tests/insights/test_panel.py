"""The panel's rows come from what is there now, in a number of statements that does not grow with the patients."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.test.utils import CaptureQueriesContext

from backend.accounts import access, people
from backend.accounts.access import Actor
from backend.accounts.models import Role
from backend.insights import panel
from backend.insights.attention import Level
from backend.reminders.models import Silence
from tests.cast import JOINED, Cast
from tests.insights.diary import Diary

MUMBAI = ZoneInfo("Asia/Kolkata")
NOW = datetime(2026, 11, 24, 18, 38, tzinfo=MUMBAI)


def rows(cast: Cast, *, now: datetime = NOW) -> list[panel.Row]:
    actor = Actor(person=cast.psychiatrist, clinic_id=cast.clinic.id, roles=frozenset({Role.PSYCHIATRIST}))
    with access.acting_as(cast.psychiatrist.id, cast.clinic.id, "panel"):
        return panel.rows(
            patients=access.patients_of(actor), clinic_id=cast.clinic.id, reader=cast.psychiatrist, now=now
        )


def row(cast: Cast, **more: Any) -> panel.Row:
    return next(found for found in rows(cast, **more) if found.patient == cast.patient.id)


def test_only_the_own_care_team_is_there(cast: Cast) -> None:
    assert {found.patient for found in rows(cast)} == {cast.patient.id, cast.other_patient.id}


def test_the_glance_holds_the_last_days_and_the_last_session(cast: Cast) -> None:
    diary = Diary(cast.patient, cast.clinic)
    diary.moods(last=NOW - timedelta(hours=9), days=40, mood=6)
    diary.session(NOW - timedelta(days=28, hours=8), dose="40")
    diary.session(NOW - timedelta(days=90), dose="40")
    found = row(cast)
    assert found.glance.means == [6.0] * 35
    assert found.glance.means_7d == [6.0] * 35
    assert found.standing.since_session_days == 28
    assert (found.sessions_held, found.route) == (2, "IV")
    assert found.last_at == NOW - timedelta(hours=9)
    assert found.glance.session_days == {34 - 28}


def test_silence_grows_by_itself_as_time_passes(cast: Cast) -> None:
    Diary(cast.patient, cast.clinic).moods(last=NOW, days=40, mood=6)
    silent = [row(cast, now=NOW + timedelta(days=n)).standing.silent_days for n in range(5)]
    assert silent == [0, 0, 2, 3, 4]


def test_who_never_checked_in_and_left_reminders_unanswered_is_a_matter_of_today_and_said_once(cast: Cast) -> None:
    assert [reason.code for reason in row(cast).standing.reasons] == ["no_entry"]
    hushed = {"purpose": "check_in", "since_at": NOW - timedelta(days=4), "noted_at": NOW - timedelta(days=1)}
    with access.maintaining("test"):
        Silence.objects.create(person=cast.patient, clinic=cast.clinic, **hushed)
        Silence.objects.create(person=cast.outside_patient, clinic=cast.elsewhere, **hushed)
    found = row(cast).standing
    assert (found.level, [reason.code for reason in found.reasons]) == (Level.TODAY, ["silent"])
    assert found.reasons[0].text == "Silent for 4 days"
    assert {reason.code for each in rows(cast) for reason in each.standing.reasons} == {"silent", "no_entry"}
    Diary(cast.patient, cast.clinic).moods(last=NOW - timedelta(days=5), days=1, mood=6)
    assert [reason.code for reason in row(cast).standing.reasons] == ["silent"]


def test_an_entry_ends_the_silence_at_once(cast: Cast) -> None:
    diary = Diary(cast.patient, cast.clinic)
    diary.moods(last=NOW - timedelta(days=4), days=40, mood=6)
    assert row(cast).standing.level is Level.TODAY
    diary.mood(NOW - timedelta(minutes=1), 6)
    assert row(cast).standing.level is Level.STEADY


def test_days_are_the_patients_and_times_the_readers(cast: Cast) -> None:
    with access.acting_as(None, cast.clinic.id, "move"):
        people.change_zone(person=cast.patient, time_zone="America/New_York", now=JOINED + timedelta(hours=1))
    diary = Diary(cast.patient, cast.clinic)
    # 00:30 of the 25th in Mumbai is still the 24th in New York; now it is 08:08 of the 24th there.
    diary.mood(datetime(2026, 11, 24, 7, 0, tzinfo=ZoneInfo("America/New_York")), 6)
    diary.session(datetime(2026, 11, 25, 9, 30, tzinfo=MUMBAI), status="planned")
    found = row(cast)
    assert (found.zone, found.glance.today, found.glance.last_on) == (
        "America/New_York",
        date(2026, 11, 24),
        date(2026, 11, 24),
    )
    assert found.standing.reasons[0].text == "Session tomorrow 09:30"


def test_visits_are_told_once_and_only_those_that_stand(cast: Cast) -> None:
    diary = Diary(cast.patient, cast.clinic)
    diary.moods(last=NOW, days=40, mood=6)
    diary.appointment(NOW + timedelta(hours=1), with_person=cast.therapist, kind="therapy")
    diary.appointment(NOW + timedelta(hours=2), status="cancelled")
    diary.appointment(NOW + timedelta(hours=3), with_person=cast.psychiatrist)
    found = row(cast)
    assert [(visit.kind, visit.mine) for visit in found.glance.visits] == [("therapy", False), ("follow_up", True)]
    assert [reason.text for reason in found.standing.reasons] == ["Follow-up today 21:38"]


def test_the_worst_come_first(cast: Cast) -> None:
    Diary(cast.other_patient, cast.clinic).moods(last=NOW - timedelta(days=5), days=40, mood=6)
    Diary(cast.patient, cast.clinic).moods(last=NOW, days=40, mood=6)
    assert [found.patient for found in rows(cast)] == [cast.other_patient.id, cast.patient.id]
    diary = Diary(cast.patient, cast.clinic)
    diary.moods(last=NOW, days=7, mood=0)  # now lower than before, which weighs more than silence
    assert [found.patient for found in rows(cast)] == [cast.patient.id, cast.other_patient.id]


def test_thirty_more_patients_cost_no_more_statements(cast: Cast) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            rows(cast)
        return len(queries)

    before = statements()
    with access.acting_as(None, cast.clinic.id, "join"):
        for n in range(30):
            zone = ("Asia/Kolkata", "Europe/London", "Australia/Lord_Howe")[n % 3]
            person = people.create(email=f"more{n}@example.org", full_name=f"More {n}", time_zone=zone, now=JOINED)
            people.join(person=person, clinic=cast.clinic, role=Role.PATIENT, now=JOINED)
            people.put_on_care_team(
                clinic_id=cast.clinic.id, patient_id=person.id, member_id=cast.psychiatrist.id, now=JOINED
            )
    assert len(rows(cast)) == 32
    assert statements() == before
