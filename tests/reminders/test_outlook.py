"""The dry run: what it expects is what the engine then plans and sends; it shows nothing that it must not."""

import random
import uuid
from datetime import UTC, datetime, time, timedelta

import pytest
import time_machine

from backend.accounts import access
from backend.accounts.models import Person
from backend.reminders import claiming, outlook, planning
from backend.reminders.models import Purpose, Reminder, Rule
from tests.reminders.engine import appointment, check_in_rule, door, ledger

# Two weeks in which London and New York change their clocks (25 October and 1 November 2026).
AUTUMN = datetime(2026, 10, 22, 9, 17, tzinfo=UTC)
NINE = datetime(2026, 10, 20, 21)  # noqa: DTZ001  (wall time)
ZONES = ["Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]


def _expected(patient: Person, now: datetime, days: int = 14):
    with door(patient):
        return outlook.expected(patient=patient, clinic_id=None, span=outlook.Span(now, days))


def _live_through(patient: Person, since: datetime, until: datetime):
    """(when it left or was skipped, due for, rule, why), by the engine's own claims, each at the second it is due."""
    while True:
        with access.maintaining("test"):
            planned = Reminder.objects.filter(person=patient, status="planned", send_at__lt=until)
            at = planned.order_by("send_at").values_list("send_at", flat=True).first()
        if at is None:
            break
        claiming.claim(now=max(at, since))
    return sorted(
        (row.sent_at or row.updated_at, row.due_at, row.rule_id, row.reason or None)
        for row in ledger(patient)
        if row.status != "planned"
    )


@pytest.mark.parametrize("seed", range(3))
def test_what_the_dry_run_expects_is_what_the_engine_sends_in_two_weeks(cast, seed):
    pick = random.Random(seed)  # noqa: S311
    quiet = pick.choice([(time(22), time(7)), (time(13), time(15)), (None, None)])
    with access.maintaining("test"):
        Person.objects.filter(id=cast.patient.id).update(
            quiet_from=quiet[0], quiet_until=quiet[1], time_zone=pick.choice(ZONES), channels=[]
        )
    patient = cast.patient
    with door(patient):
        patient.refresh_from_db()
        for _ in range(8):
            rrule = pick.choice(
                ["FREQ=DAILY", "FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY;BYDAY=MO,SU", "FREQ=DAILY;BYHOUR=1,2,3,14,23",
                 "FREQ=MONTHLY;BYDAY=-1SU", "FREQ=DAILY;COUNT=4", "FREQ=DAILY;BYHOUR=2;BYMINUTE=15,30,45"]
            )  # fmt: skip
            start = datetime(2026, 10, pick.randint(20, 24), pick.randint(0, 23), pick.choice([0, 30]))  # noqa: DTZ001
            zone = pick.choice([None, *ZONES])
            purpose = pick.choice([Purpose.OWN, Purpose.OWN, Purpose.TARGET, Purpose.CHECK_IN])
            try:  # without a clinic nobody would be told of a silence, so none begins
                planning.set_rule(person=patient, purpose=purpose, rrule=rrule, start=start, time_zone=zone, now=AUTUMN)
            except planning.NeverHappens:
                continue
    for days in (2, 5, 11):
        at = AUTUMN + timedelta(days=days, hours=pick.randint(0, 23))
        appointment(patient, at, now=AUTUMN, clinic=cast.clinic.id)
    foreseen = _expected(patient, AUTUMN)
    assert [each.at for each in foreseen] == sorted(each.at for each in foreseen)
    assert all(each.moved_by_quiet == (each.at != each.due_at) for each in foreseen)
    before = ledger(patient)
    lived = _live_through(patient, AUTUMN, AUTUMN + timedelta(days=14))
    assert sorted((each.at, each.due_at, each.rule.id, each.would_skip) for each in foreseen) == lived
    assert "daily_cap" in {reason for *_, reason in lived}
    assert len(lived) > 20
    assert len(ledger(patient)) > len(before)


def test_wall_time_is_kept_in_the_week_of_a_clock_change(cast):
    with access.maintaining("test"):
        Person.objects.filter(id=cast.patient.id).update(time_zone="Europe/London")
        cast.patient.refresh_from_db()
    check_in_rule(cast.patient, now=AUTUMN, start=NINE)
    at = [each.at for each in _expected(cast.patient, AUTUMN, days=5)]
    assert [each.hour for each in at] == [20, 20, 20, 21, 21]


def test_what_the_rules_would_hold_back_says_why(cast):
    check_in_rule(cast.patient, now=AUTUMN, start=NINE)
    with access.maintaining("test"):
        Rule.objects.update(paused_from_at=AUTUMN, paused_until_at=AUTUMN + timedelta(days=1))
    assert [each.would_skip for each in _expected(cast.patient, AUTUMN, days=3)] == ["in_session", None, None]
    with access.maintaining("test"):
        Rule.objects.update(muted_at=AUTUMN, paused_from_at=None, paused_until_at=None)
    assert {each.would_skip for each in _expected(cast.patient, AUTUMN)} == {"opted_out"}


def test_what_was_put_off_comes_at_its_new_hour_and_what_ended_not_at_all(cast):
    rule = check_in_rule(cast.patient, now=AUTUMN, start=NINE)
    later = ledger(cast.patient)[0].send_at + timedelta(minutes=40)
    with access.maintaining("test"):
        Reminder.objects.update(status="snoozed", send_at=later)
    (only,) = _expected(cast.patient, AUTUMN)
    assert (only.at, only.moved_by_quiet) == (later, False)
    with door(cast.patient):
        planning.end_rule(rule_id=rule.id, person_id=cast.patient.id, now=AUTUMN)
    assert _expected(cast.patient, AUTUMN) == []


def test_the_plan_over_the_api_has_the_titles_for_own_eyes_only(cast):
    with time_machine.travel(AUTUMN, tick=False):
        body = {"title": "Call Meera", "rrule": "FREQ=DAILY", "start": "2026-10-20T21:00:00"}
        mine = cast.client(cast.patient)
        assert mine.send("PUT", f"reminder-rules/{uuid.uuid4()}", body).status_code == 201
        own = mine.send("GET", "me/reminder-plan").json()
        answer = cast.client(cast.therapist).send("GET", f"patients/{cast.patient.id}/reminder-plan?days=28")
        team = answer.json()
        assert (own["patient"], own["time_zone"]) == (str(cast.patient.id), "Asia/Kolkata")
        assert len(own["entries"]) == 14
        assert len(team["entries"]) == 28
        assert {entry["title"] for entry in own["entries"]} == {"Call Meera"}
        assert b"Meera" not in answer.content
        first = own["entries"][0]
        assert (first["purpose"], first["channels"], first["would_skip"]) == ("own", ["inbox", "email"], None)
        assert first["at"] == first["due_at"] == "2026-10-22T15:30:00+00:00"
        for days in ("0", "29", "x"):
            assert mine.send("GET", f"me/reminder-plan?days={days}").status_code == 400
        for who, status in (
            (cast.outsider, 404), (cast.nurse, 404), (cast.patient, 403), (cast.administrator, 403),
        ):  # fmt: skip
            path = f"patients/{cast.patient.id}/reminder-plan"
            assert cast.client(who).send("GET", path).status_code == status, who.full_name
        assert cast.client(cast.therapist).send("GET", "me/reminder-plan").status_code == 403


def test_the_dry_run_writes_nothing_and_asks_once(cast, django_assert_max_num_queries):
    check_in_rule(cast.patient, now=AUTUMN, start=NINE)
    appointment(cast.patient, AUTUMN + timedelta(days=3), now=AUTUMN, clinic=cast.clinic.id)
    before = [(row.id, row.version, row.status) for row in ledger(cast.patient)]
    with door(cast.patient), django_assert_max_num_queries(2):
        outlook.expected(patient=cast.patient, clinic_id=cast.clinic.id, span=outlook.Span(AUTUMN, 28))
    assert [(row.id, row.version, row.status) for row in ledger(cast.patient)] == before
