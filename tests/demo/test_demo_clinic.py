"""The demo's clinics on a real database: complete, consistent, all or nothing."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from rest_framework.test import APIRequestFactory

from backend.accounts import access
from backend.accounts.models import CareTeamMember, Clinic, Membership, PatientCounter, Person, Role
from backend.accounts.models import Session as SignedIn
from backend.accounts.sign_in import TokenAuthentication
from backend.aftercare.models import MoodCheckIn, Occurrence, PatientState
from backend.common import clock
from backend.demo import agenda, cast, clinic, codes, diary, people, volume
from backend.demo.cast import id_of
from backend.reminders.models import Purpose, Reminder, Rule, Status
from backend.treatment.models import Session, SideEffect

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
TABLES = (Clinic, Person, Membership, CareTeamMember, PatientCounter, PatientState, *diary.COLUMNS)


@access.maintaining("test")
def counts():
    return {model: model.objects.count() for model in TABLES}


@pytest.fixture
def loaded(database):
    return clinic.load(now=NOW)


def test_the_demo_is_one_whole_whose_numbers_and_states_agree(loaded):
    check_the_cast()
    check_that_change_numbers_follow_arrival()
    check_that_each_patients_state_agrees_with_the_logs()


@access.maintaining("test")
def check_the_cast():
    mumbai = id_of("clinic", "mumbai")
    patients = Membership.objects.filter(clinic=mumbai, role=Role.PATIENT).values("person_id")
    assert patients.count() == 40
    assert CareTeamMember.objects.filter(member=id_of("person", "psychiatrist"), patient__in=patients).count() == 38
    patient = Person.objects.get(email="patient@demo.afterglow.example")
    assert (patient.time_zone, patient.quiet_from) == ("Asia/Kolkata", None)
    assert patient.check_password(cast.PASSWORD)
    zones = set(Person.objects.filter(memberships__role=Role.PATIENT).values_list("time_zone", flat=True))
    assert zones == {"Asia/Kolkata", "America/New_York", "Europe/London", "Australia/Lord_Howe"}
    assert MoodCheckIn.objects.filter(received_at__gt=NOW).count() == 0
    late = [row for row in MoodCheckIn.objects.all() if row.received_at - row.felt_at > timedelta(days=2)]
    assert len(late) > 20
    assert Session.objects.filter(started_at=None, planned_at__gt=NOW).exists()
    assert SideEffect.objects.exclude(session=None).count() == SideEffect.objects.count() > 100


@access.maintaining("test")
def check_that_change_numbers_follow_arrival():
    for person, value in PatientCounter.objects.values_list("patient_id", "value"):
        rows = sorted(
            row
            for model in diary.COLUMNS
            for row in model.objects.filter(patient=person).values_list("change_number", "received_at")
        )
        numbers, arrivals = zip(*rows, strict=True)
        taken = set(numbers)
        assert len(taken) == len(numbers)
        assert max(numbers) <= value
        assert list(arrivals) == sorted(arrivals)


@access.maintaining("test")
def check_that_each_patients_state_agrees_with_the_logs():
    assert PatientState.objects.count() == 44
    for state in PatientState.objects.all():
        last = MoodCheckIn.objects.filter(patient=state.patient_id).order_by("-felt_at").first()
        newest = max(
            model.objects.filter(patient=state.patient_id).latest("received_at").received_at
            for model in diary.LOGS
            if model.objects.filter(patient=state.patient_id).exists()
        )
        assert (state.last_felt_at, state.last_mood, state.last_entry_at) == (last.felt_at, last.mood, newest)


def test_reminders_are_due_within_minutes_and_nobody_is_asked_again_for_a_day_that_is_told(loaded):
    check_that_visits_and_check_ins_are_soon_reminded_of()
    check_that_everybody_has_a_daily_reminder_for_a_day_that_is_not_told()
    check_that_the_psychiatrist_is_free_between_one_and_four_hours_after_the_load()


@access.maintaining("test")
def check_that_visits_and_check_ins_are_soon_reminded_of():
    due = Reminder.objects.filter(status=Status.PLANNED, send_at__range=(NOW, NOW + timedelta(minutes=6)))
    assert due.filter(person=id_of("person", "patient"), purpose=Purpose.CHECK_IN).exists()
    assert due.filter(person=id_of("person", "patient"), purpose=Purpose.APPOINTMENT).exists()
    assert due.count() >= 7
    assert due.earliest("send_at").send_at - NOW >= timedelta(minutes=1)
    for about in due.filter(purpose=Purpose.APPOINTMENT).values_list("about_id", flat=True):
        assert Occurrence.objects.get(id=about).appointment.with_person_id == id_of("person", "therapist")


@access.maintaining("test")
def check_that_everybody_has_a_daily_reminder_for_a_day_that_is_not_told():
    rules = Rule.objects.filter(purpose=Purpose.CHECK_IN, ended_at=None)
    assert rules.count() == 44
    for rule in rules:
        zone = clock.zone(rule.time_zone)
        (reminder,) = rule.reminders.filter(status=Status.PLANNED)
        told = MoodCheckIn.objects.filter(patient=rule.person_id).latest("felt_at").felt_at
        assert told.astimezone(zone).date() < reminder.due_at.astimezone(zone).date()


@access.maintaining("test")
def check_that_the_psychiatrist_is_free_between_one_and_four_hours_after_the_load():
    busy = Occurrence.objects.filter(appointment__with_person=id_of("person", "psychiatrist"))
    assert busy.exists()
    assert not busy.filter(starts_at__range=(NOW + timedelta(hours=1), NOW + timedelta(hours=4))).exists()


def test_a_second_load_is_refused_and_a_replacing_one_removes_what_was_added(loaded):
    before = counts()
    with pytest.raises(CommandError, match="--replace"):
        call_command("demo_load")
    assert counts() == before
    with access.maintaining("test"):
        row = MoodCheckIn.objects.filter(patient=id_of("person", "patient")).first()
        MoodCheckIn.objects.filter(id=row.id).update(mood=0, version=2)
    assert _history() == 1
    clinic.load(now=NOW, replace=True)
    assert counts() == before
    assert _history() == 0
    with access.maintaining("test"):
        assert MoodCheckIn.objects.get(id=row.id).mood == row.mood


@access.maintaining("test")
def _history():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM aftercare_moodcheckinevent")
        return cursor.fetchone()[0]


def test_a_load_that_breaks_leaves_nothing(database, monkeypatch):
    def broken(**_):
        raise RuntimeError("no")

    monkeypatch.setattr(agenda, "put", broken)
    with pytest.raises(RuntimeError):
        clinic.load(now=NOW)
    assert set(counts().values()) == {0}


def test_everybody_shown_is_fully_signed_in_and_earlier_tokens_end(loaded):
    first = people.renew_tokens(now=NOW)
    shown = people.renew_tokens(now=NOW)
    assert {"patient", "other_patient", "psychiatrist", "therapist", "outsider", "administrator"} <= shown.keys()
    with access.maintaining("test"):
        assert SignedIn.objects.count() == len(shown)
    for name, person in shown.items():
        assert person["email"].endswith("@demo.afterglow.example")
        assert _who(person["token"]) == person["id"]
        assert _who(first[name]["token"]) is None


def test_the_staff_shown_sign_in_with_the_code_of_their_phone(loaded, capsys):
    shown = people.renew_tokens(now=NOW)
    assert {name for name, person in shown.items() if "totp_secret" in person} == {
        "psychiatrist", "therapist", "nurse", "outsider", "administrator",
    }  # fmt: skip
    doctor = shown["psychiatrist"]
    page = Client().get("/demo/codes").content.decode()
    call_command("demo_code", "psychiatrist")
    code = capsys.readouterr().out.strip()
    assert code in page or code == codes.code_of("psychiatrist", now=clock.now())
    browser = Client()
    browser.post("/sign-in", {"login": doctor["email"], "password": doctor["password"]})
    assert browser.post("/second-factor", {"code": codes.code_of("psychiatrist", now=clock.now())})["Location"] == "/"
    people.renew_tokens(now=NOW)
    used = browser.post("/sign-out") and browser.post(
        "/sign-in", {"login": doctor["email"], "password": doctor["password"]}
    )
    assert used["Location"] == "/second-factor", "the next start changes nothing about it"
    with pytest.raises(CommandError, match="there are psychiatrist"):
        call_command("demo_code", "patient")


def _who(token):
    request = APIRequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {token}")
    try:
        person, _ = TokenAuthentication().authenticate(request)
    except Exception:
        return None
    return str(person.id)


def test_without_the_demo_there_is_nobody_to_sign_in(database):
    with pytest.raises(CommandError, match="demo_load"):
        call_command("demo_people")


def test_the_load_clinic_has_exactly_the_size_asked_for(database):
    heard = []
    volume.load(check_ins=7_000, now=NOW, progress=lambda done, total: heard.append((done, total)))
    check_the_load(heard)


@access.maintaining("test")
def check_the_load(heard):
    assert MoodCheckIn.objects.count() == 7_000
    assert heard[-1][0] == heard[-1][1] == sum(model.objects.count() for model in diary.COLUMNS)
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    person = id_of("person", volume.key_of(0))
    days = (NOW - MoodCheckIn.objects.filter(patient=person).earliest("felt_at").felt_at).days
    assert 1_090 <= days <= 1_096
    assert 2.8 < MoodCheckIn.objects.filter(patient=person).count() / days < 3.2
    state = PatientState.objects.get(patient=person)
    assert state.last_felt_at == MoodCheckIn.objects.filter(patient=person).latest("felt_at").felt_at


def test_the_load_clinic_stands_beside_the_demo_and_is_replaced_alone(loaded):
    before = counts()[MoodCheckIn]
    out = StringIO()
    call_command("demo_load", "--check-ins", "1,000", stdout=out)
    assert "1,000 of them check-ins" in out.getvalue()
    with pytest.raises(CommandError, match="--replace"):
        call_command("demo_load", "--check-ins", "10")
    call_command("demo_load", "--check-ins", "10", "--replace", stdout=out)
    assert counts()[MoodCheckIn] == before + 10
