"""A new zone database: what it changes is planned anew, once, and what happened keeps its instant."""

import os
import subprocess
import sys
import uuid
import zoneinfo
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connections
from django.db.models import F

from backend.accounts import access
from backend.common import clock
from backend.reminders import dispatch, escalation, zones
from backend.reminders.escalation import Step
from backend.reminders.models import Reminder, Rule, ZoneData
from backend.reminders.planning import About
from tests.reminders.engine import DUE, NOON, appointment, check_in_rule, later, ledger

ROOT = Path(__file__).resolve().parents[2]
HOUR = timedelta(hours=1)


def move(person, by, **filters):
    """The person's plan as another zone database had it."""
    with access.maintaining("test"):
        rows = Reminder.objects.filter(person=person, status="planned", **filters)
        rows.update(due_at=F("due_at") + by, send_at=F("send_at") + by, expires_at=F("expires_at") + by)


def plan(person):
    return [(row.due_at, row.status, row.reason) for row in ledger(person)]


def renew(now=NOON, **options):
    return zones.renew(now=now, **options)


@pytest.fixture(autouse=True)
def older(database):
    """The plan was made by an older version."""
    with access.maintaining("test"):
        ZoneData.objects.create(version="1999a", began_at=NOON, checked_at=NOON)


def versions():
    with access.maintaining("test"):
        return dict(ZoneData.objects.values_list("version", "checked_at"))


@pytest.mark.parametrize("by", [HOUR, -HOUR, timedelta(minutes=30), timedelta(hours=-3)])
def test_what_the_new_version_changes_is_planned_anew_and_the_version_noted(cast, by):
    check_in_rule(cast.patient)
    move(cast.patient, by)
    assert renew()
    assert sorted(plan(cast.patient)) == sorted([(DUE, "planned", ""), (DUE + by, "skipped", "zone_changed")])
    assert versions() == {"1999a": NOON, clock.ZONE_DATABASE: NOON}


def test_a_second_time_changes_nothing(cast):
    check_in_rule(cast.patient)
    appointment(cast.patient, NOON + timedelta(days=9))
    move(cast.patient, HOUR)
    renew()
    before = plan(cast.patient)
    with access.maintaining("test"):
        ZoneData.objects.filter(version=clock.ZONE_DATABASE).delete()
        stamps = set(Reminder.objects.values_list("id", "updated_at", "change_number"))
    assert renew(now=NOON + timedelta(minutes=1))
    assert plan(cast.patient) == before
    with access.maintaining("test"):
        assert set(Reminder.objects.values_list("id", "updated_at", "change_number")) == stamps


def test_a_plan_that_agrees_is_left_as_it_is(cast):
    check_in_rule(cast.patient)
    appointment(cast.patient, NOON + timedelta(days=9))
    before = [(row.id, row.version, row.updated_at) for row in ledger(cast.patient)]
    assert renew()
    assert [(row.id, row.version, row.updated_at) for row in ledger(cast.patient)] == before


def test_what_was_sent_stays_and_its_day_is_not_told_twice(cast):
    check_in_rule(cast.patient)
    dispatch.tick(now=later(seconds=1))
    sent, following = ledger(cast.patient)
    assert sent.status == "due"
    move(cast.patient, HOUR)
    renew(now=later(minutes=1))
    assert [(row.due_at, row.status) for row in ledger(cast.patient)] == [
        (sent.due_at, "due"),
        (following.due_at, "planned"),
        (following.due_at + HOUR, "skipped"),
    ]


def test_one_whose_new_hour_has_just_passed_is_sent_late_and_not_lost(cast):
    check_in_rule(cast.patient)
    move(cast.patient, HOUR)
    renew(now=later(minutes=20))
    dispatch.tick(now=later(minutes=20))
    assert [(row.due_at, row.status) for row in ledger(cast.patient)][:1] == [(DUE, "due")]


def test_the_days_before_an_appointment_are_planned_anew(cast):
    at = NOON + timedelta(days=3)
    appointment(cast.patient, at)
    before = [row.due_at for row in ledger(cast.patient)]
    move(cast.patient, HOUR, due_at__lt=at - 3 * HOUR)
    renew()
    assert [row.due_at for row in ledger(cast.patient, status="planned")] == before


def test_quiet_hours_that_end_at_another_instant_shift_what_waits_for_them(cast):
    check_in_rule(cast.patient)
    with access.maintaining("test"):
        Rule.objects.update(quiet_from="20:00", quiet_until="22:00")
    renew()
    (row,) = ledger(cast.patient)
    assert (row.due_at, row.send_at) == (DUE, DUE + HOUR)


def test_a_chain_of_people_is_left_alone(cast):
    with access.acting_as(cast.patient.id, cast.clinic.id, "test"):
        escalation.open(
            person=cast.patient,
            clinic_id=cast.clinic.id,
            purpose="alert",
            about=About("alert", uuid.uuid4()),
            steps=[Step([cast.nurse.id], 10)],
            now=NOON,
        )
    assert renew()
    assert [(row.due_at, row.status) for row in ledger(cast.nurse)] == [(NOON, "planned")]


def test_it_goes_on_where_it_was_stopped_and_several_at_once_do_it_once(cast, monkeypatch):
    monkeypatch.setattr(zones, "BATCH", 1)
    people = (cast.patient, cast.other_patient, cast.unassigned_patient)
    for person in people:
        check_in_rule(person)
        move(person, HOUR)
    assert not renew(seconds=0)
    assert versions()[clock.ZONE_DATABASE] is None

    def one(_):
        try:
            return renew()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(one, range(3)))
    assert any(done)
    for person in people:
        assert [due_at for due_at, status, _ in plan(person) if status == "planned"] == [DUE]


def test_a_rule_that_somebody_is_planning_is_not_forgotten(cast):
    rule = check_in_rule(cast.patient)
    move(cast.patient, HOUR)
    with access.acting_as(cast.patient.id, None, "test"):
        Rule.objects.select_for_update(no_key=True).get(id=rule.id)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(lambda: (renew(), connections.close_all())[0]).result() is False
    assert versions()[clock.ZONE_DATABASE] is None
    assert renew()
    assert [due_at for due_at, status, _ in plan(cast.patient) if status == "planned"] == [DUE]


@pytest.mark.parametrize(
    "part",
    [
        "import backend.common.clock",
        "import backend.reminders.expand",
        "import backend.config.wsgi",
        "from backend.config.celery import app; app.loader.import_default_modules()",
    ],
)
def test_no_part_reads_the_machine_s_zone_data(part):
    env = {**os.environ, "PYTHONTZPATH": "/usr/share/zoneinfo"}
    told = f"{part}\nimport zoneinfo\nprint(zoneinfo.TZPATH, zoneinfo.ZoneInfo('Asia/Kolkata'))"
    said = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    ).stdout
    assert said.strip() == "() Asia/Kolkata"


def test_the_tests_themselves_read_none_either():
    assert zoneinfo.TZPATH == ()
