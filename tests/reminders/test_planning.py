"""Plans are made by set difference, follow the person, and stop when it is done."""
# ruff: noqa: DTZ001  (wall times are naive on purpose)

import uuid
from datetime import datetime, time, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backend.accounts import people
from backend.common import clock
from backend.reminders import answers, claiming, planning
from backend.reminders.models import Purpose, Reason, Rule, Status
from backend.reminders.walltime import instant, wall
from tests.reminders.engine import EVENING, NOON, appointment, check_in_rule, door, ledger

MUMBAI = clock.zone("Asia/Kolkata")


def states(person, **filters):
    return [(f"{wall(row.due_at, MUMBAI):%d %H:%M}", row.status, row.reason) for row in ledger(person, **filters)]


def test_the_next_occurrence_of_a_rule_stands_in_the_ledger(cast):
    check_in_rule(cast.patient)
    (row,) = ledger(cast.patient)
    assert row.status == Status.PLANNED
    assert row.due_at == row.send_at == instant(EVENING, MUMBAI)
    assert row.expires_at == row.due_at + timedelta(minutes=150)
    assert (row.version, row.change_number) == (1, 1)


def test_the_same_rule_twice_is_the_same_as_once(cast):
    rule_id = uuid.uuid4()
    for _ in range(2):
        with door(cast.patient):
            rule, new = planning.set_rule(
                id=rule_id, person=cast.patient, purpose=Purpose.OWN, rrule="FREQ=DAILY", start=EVENING, now=NOON
            )
    assert (rule.version, new) == (1, False)
    assert [row.version for row in ledger(cast.patient)] == [1]


def test_an_edited_rule_moves_what_was_not_yet_sent(cast):
    rule = check_in_rule(cast.patient)
    with door(cast.patient):
        planning.set_rule(
            id=rule.id, person=cast.patient, purpose=Purpose.CHECK_IN, rrule="FREQ=DAILY",
            start=datetime(2026, 11, 24, 20), now=NOON,
        )  # fmt: skip
    assert states(cast.patient) == [("24 20:00", "planned", ""), ("24 21:00", "skipped", "rule_changed")]
    with door(cast.patient):
        planning.set_rule(
            id=rule.id, person=cast.patient, purpose=Purpose.CHECK_IN, rrule="FREQ=DAILY", start=EVENING, now=NOON
        )
    assert states(cast.patient) == [("24 20:00", "skipped", "rule_changed"), ("24 21:00", "planned", "")]


def test_a_rule_of_someone_else_is_not_taken_over(cast):
    rule = check_in_rule(cast.patient)
    with pytest.raises(planning.TakenRuleId), door(cast.other_patient):
        planning.set_rule(
            id=rule.id, person=cast.other_patient, purpose=Purpose.OWN, rrule="FREQ=DAILY", start=EVENING, now=NOON
        )


def test_a_rule_that_never_happens_again_is_refused(cast):
    with pytest.raises(planning.NeverHappens), door(cast.patient):
        planning.set_rule(
            person=cast.patient,
            purpose=Purpose.OWN,
            rrule="FREQ=DAILY;COUNT=1",
            start=datetime(2026, 11, 23, 9),
            now=NOON,
        )
    assert ledger(cast.patient) == []


def test_an_appointment_is_announced_the_day_before_and_two_hours_before(cast):
    appointment(cast.patient, instant(datetime(2026, 11, 27, 17), MUMBAI))
    assert states(cast.patient) == [("26 17:00", "planned", ""), ("27 15:00", "planned", "")]


def test_what_lay_in_the_past_when_the_appointment_was_made_is_skipped(cast):
    appointment(cast.patient, instant(datetime(2026, 11, 24, 17), MUMBAI))
    assert states(cast.patient) == [("23 17:00", "skipped", "made_later"), ("24 15:00", "planned", "")]


def test_a_moved_appointment_moves_its_reminders_and_planning_it_twice_changes_nothing(cast):
    about = ("occurrence", uuid.uuid4())
    appointment(cast.patient, instant(datetime(2026, 11, 27, 17), MUMBAI), about=about)
    for _ in range(2):
        appointment(cast.patient, instant(datetime(2026, 11, 28, 10), MUMBAI), about=about)
    assert states(cast.patient) == [
        ("26 17:00", "skipped", "appointment_moved"),
        ("27 10:00", "planned", ""),
        ("27 15:00", "skipped", "appointment_moved"),
        ("28 08:00", "planned", ""),
    ]
    assert {row.version for row in ledger(cast.patient, status="planned")} == {1}


def test_a_cancelled_appointment_ends_its_reminders_and_a_restored_one_brings_them_back(cast):
    about = ("occurrence", uuid.uuid4())
    at = instant(datetime(2026, 11, 27, 17), MUMBAI)
    appointment(cast.patient, at, about=about)
    with door(cast.patient):
        assert planning.end(about=about, now=NOON) == 1
        assert planning.end(about=about, now=NOON) == 0
    assert {row.reason for row in ledger(cast.patient)} == {Reason.APPOINTMENT_CANCELLED}
    appointment(cast.patient, at, about=about)
    assert [row.status for row in ledger(cast.patient)] == ["planned", "planned"]


def quiet(person, start, end):
    with door(person):
        person.quiet_from, person.quiet_until = start, end
        person.save(update_fields=["quiet_from", "quiet_until"])
        planning.replan(person, now=NOON)


def test_in_quiet_hours_an_announcement_leaves_the_evening_before_and_a_habit_waits_for_the_morning(cast):
    appointment(cast.patient, instant(datetime(2026, 11, 27, 8), MUMBAI))
    check_in_rule(cast.patient, start=datetime(2026, 11, 24, 5))
    quiet(cast.patient, time(22), time(7))
    sent = {wall(row.due_at, MUMBAI): wall(row.send_at, MUMBAI) for row in ledger(cast.patient, status="planned")}
    assert sent == {
        datetime(2026, 11, 25, 5): datetime(2026, 11, 25, 7),
        datetime(2026, 11, 26, 8): datetime(2026, 11, 26, 8),
        datetime(2026, 11, 27, 6): datetime(2026, 11, 26, 22),
    }


def test_an_appointment_made_in_the_night_before_is_announced_at_once(cast):
    quiet(cast.patient, time(22), time(7))
    at_night = instant(datetime(2026, 11, 24, 23, 30), MUMBAI)
    appointment(cast.patient, instant(datetime(2026, 11, 25, 8), MUMBAI), now=at_night)
    planned = ledger(cast.patient, status="planned")
    assert [row.send_at for row in planned] == [at_night]


def settle(person, day, *, now=NOON):
    start = datetime.combine(day, time(), MUMBAI)
    with door(person):
        return planning.settle(
            person_id=person.id, purpose=Purpose.CHECK_IN, from_at=start, until_at=start + timedelta(days=1),
            reason=Reason.ALREADY_LOGGED, now=now,
        )  # fmt: skip


def test_a_check_in_settles_the_reminder_of_its_day_and_the_series_goes_on(cast):
    check_in_rule(cast.patient)
    assert settle(cast.patient, EVENING.date()) == 1
    assert settle(cast.patient, EVENING.date()) == 0
    assert states(cast.patient) == [("24 21:00", "done", "already_logged"), ("25 21:00", "planned", "")]


def test_all_reminders_of_a_settled_day_are_done(cast):
    check_in_rule(cast.patient, rrule="FREQ=DAILY;BYHOUR=15,21", start=datetime(2026, 11, 24, 12))
    assert settle(cast.patient, EVENING.date()) == 2
    assert states(cast.patient, status="planned") == [("25 15:00", "planned", "")]


def test_a_later_hour_chosen_on_a_settled_day_starts_tomorrow(cast):
    rule = check_in_rule(cast.patient)
    settle(cast.patient, EVENING.date())
    choose_hour(cast.patient, rule, 22, NOON)
    assert states(cast.patient, status="planned") == [("25 22:00", "planned", "")]


def choose_hour(person, rule, hour, now):
    with door(person):
        planning.set_rule(
            id=rule.id, person=person, purpose=Purpose.CHECK_IN, rrule="FREQ=DAILY",
            start=datetime(2026, 11, 24, hour), now=now,
        )  # fmt: skip


def test_a_day_that_was_logged_after_its_reminder_was_seen_is_settled_too(cast):
    rule = check_in_rule(cast.patient, start=datetime(2026, 11, 24, 20))
    at_eight = instant(datetime(2026, 11, 24, 20), MUMBAI)
    claiming.claim(now=at_eight)
    (due,) = ledger(cast.patient, status="due")
    with door(cast.patient):
        answers.acknowledge(reminder_id=due.id, person=cast.patient, now=at_eight)
    assert settle(cast.patient, EVENING.date(), now=at_eight + timedelta(minutes=10)) == 0
    choose_hour(cast.patient, rule, 21, at_eight + timedelta(minutes=20))
    assert states(cast.patient, status="planned") == [("25 21:00", "planned", "")]


def test_a_series_made_on_a_day_that_is_done_begins_tomorrow(cast):
    with door(cast.patient):
        planning.set_rule(
            person=cast.patient, purpose=Purpose.CHECK_IN, rrule="FREQ=DAILY", start=EVENING, now=NOON,
            settled_until_at=instant(datetime(2026, 11, 25), MUMBAI),
        )  # fmt: skip
    assert states(cast.patient) == [("25 21:00", "planned", "")]


def test_a_log_with_nothing_to_settle_costs_one_question(cast):
    check_in_rule(cast.patient)
    settle(cast.patient, EVENING.date())
    start = datetime.combine(EVENING.date(), time(), MUMBAI)
    days = {"of today, again": start, "of last week": start - timedelta(days=7)}
    for day in days.values():
        with door(cast.patient), CaptureQueriesContext(connection) as asked:
            planning.settle(
                person_id=cast.patient.id, purpose=Purpose.CHECK_IN, from_at=day, until_at=day + timedelta(days=1),
                reason=Reason.ALREADY_LOGGED, now=NOON,
            )  # fmt: skip
        assert len(asked) == 1


def move(person, zone, now):
    with door(person):
        people.change_zone(person=person, time_zone=zone, now=now)
        return planning.replan(person, now=now)


def test_a_flight_from_mumbai_to_london_moves_what_is_to_come(cast):
    check_in_rule(cast.patient)
    move(cast.patient, "Europe/London", NOON)
    (planned,) = ledger(cast.patient, status="planned")
    assert wall(planned.due_at, clock.zone("Europe/London")) == EVENING
    (skipped,) = ledger(cast.patient, status="skipped")
    assert skipped.reason == Reason.ZONE_CHANGED
    assert move(cast.patient, "Europe/London", NOON) == 0


def test_who_was_reminded_in_mumbai_is_not_reminded_again_that_evening_in_london(cast):
    check_in_rule(cast.patient)
    settle(cast.patient, EVENING.date())
    move(cast.patient, "Europe/London", NOON)
    (planned,) = ledger(cast.patient, status="planned")
    assert wall(planned.due_at, clock.zone("Europe/London")) == EVENING + timedelta(days=1)


def test_a_rule_in_a_zone_of_its_own_stays_there(cast):
    with door(cast.patient):
        rule, _ = planning.set_rule(
            person=cast.patient,
            purpose=Purpose.OWN,
            rrule="FREQ=DAILY",
            start=EVENING,
            time_zone="America/New_York",
            now=NOON,
        )
    move(cast.patient, "Europe/London", NOON)
    with door(cast.patient):
        assert Rule.objects.get(id=rule.id).time_zone == "America/New_York"
