"""Cap, nudge, session and silence on the whole ledger: claimed, told in words, and told to the clinic."""
# ruff: noqa: DTZ001  (wall times are naive on purpose)

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, time, timedelta

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from backend.accounts import access
from backend.accounts.models import CareTeamMember
from backend.common import clock
from backend.reminders import answers, claiming, dispatch, nudging, planning, silences
from backend.reminders.models import Purpose, Reason, Reminder, Rule, Silence
from backend.reminders.walltime import instant
from tests.reminders.engine import (
    DUE,
    EVENING,
    NOON,
    appointment,
    check_in_rule,
    deliveries,
    door,
    later,
    ledger,
    statuses,
)

MUMBAI = clock.zone("Asia/Kolkata")


def series(person, purpose, hour, *, minute=0, now=NOON, **how):
    with door(person):
        return planning.set_rule(
            person=person, purpose=purpose, rrule="FREQ=DAILY", start=datetime(2026, 11, 24, hour, minute),
            clinic_id=person.memberships.get().clinic_id, now=now, **how,
        )[0]  # fmt: skip


def told(cast, row):
    return cast.client(cast.patient).send("GET", f"reminders/{row.id}/explain").json()["text"]


def outcome(person, purpose, **filters):
    return [(row.status, row.reason) for row in ledger(person, purpose=purpose, due_at__lt=later(hours=3), **filters)]


def set_person(person, **values):
    with door(person):
        for name, value in values.items():
            setattr(person, name, value)
        person.save(update_fields=list(values))
        planning.replan(person, now=NOON)


# The daily cap


def test_the_cap_keeps_the_important_ones_and_never_cuts_the_check_in(cast):
    set_person(cast.patient, daily_cap=3)
    check_in_rule(cast.patient)  # at nine in the evening
    for minute in range(3):
        series(cast.patient, Purpose.OWN, 20, minute=minute)
    series(cast.patient, Purpose.TARGET, 20, minute=30)
    at = instant(datetime(2026, 11, 24, 20), MUMBAI)
    for minutes in (0, 1, 2, 30, 60):
        claiming.claim(now=at + timedelta(minutes=minutes))
    assert outcome(cast.patient, Purpose.OWN) == [("due", ""), *[("skipped", "daily_cap")] * 2]
    assert outcome(cast.patient, Purpose.TARGET) == [("due", "")]
    assert outcome(cast.patient, Purpose.CHECK_IN) == [("due", "")]
    cut = ledger(cast.patient, reason="daily_cap")[0]
    assert "Not sent: enough reminders had come that day." in told(cast, cut)
    assert len(ledger(cast.patient, status="planned")) == 5  # all series go on


def test_a_batch_that_holds_the_whole_day_is_cut_by_importance(cast):
    for minute in range(4):
        series(cast.patient, Purpose.OWN, 20, minute=minute)
    series(cast.patient, Purpose.TARGET, 20, minute=40)
    check_in_rule(cast.patient)
    claiming.claim(now=later(minutes=5))
    assert outcome(cast.patient, Purpose.CHECK_IN) == outcome(cast.patient, Purpose.TARGET) == [("due", "")]
    assert outcome(cast.patient, Purpose.OWN) == [("due", "")] * 2 + [("skipped", "daily_cap")] * 2


def test_a_cap_ends_with_the_persons_day(cast):
    set_person(cast.patient, daily_cap=1)
    series(cast.patient, Purpose.OWN, 23)
    series(cast.patient, Purpose.OWN, 23, minute=30)
    series(cast.patient, Purpose.OWN, 0, minute=10)
    for hour, minute, day in ((23, 0, 24), (23, 30, 24), (0, 10, 25)):
        claiming.claim(now=instant(datetime(2026, 11, day, hour, minute), MUMBAI))
        _deliver_all(cast.patient, instant(datetime(2026, 11, day, hour, minute), MUMBAI))
    assert [row.status for row in ledger(cast.patient)][:3] == ["sent", "skipped", "sent"]


def test_only_what_can_be_cut_is_asked_about_and_a_batch_asks_once(cast):
    check_in_rule(cast.patient)
    appointment(cast.patient, later(hours=2))
    with CaptureQueriesContext(connections["dispatch"]) as asked:
        claiming.claim(now=DUE)
    assert not [each for each in asked if "more important" in each["sql"] or "count(*)" in each["sql"]]
    for minute in range(6):
        series(cast.patient, Purpose.OWN, 22, minute=minute)
    with CaptureQueriesContext(connections["dispatch"]) as asked:
        assert claiming.claim(now=later(hours=1, minutes=10)) == 6
    assert len([each for each in asked if "count(*)" in each["sql"]]) == 1


# One nudge


def test_one_nudge_comes_an_hour_after_and_explain_tells_it(cast, post):
    check_in_rule(cast.patient)
    dispatch.tick(now=DUE)
    dispatch.deliver(now=DUE)
    row = ledger(cast.patient)[0]
    assert "without an answer it comes once more at 24 November 2026, 22:00" in told(cast, row)
    dispatch.tick(now=later(minutes=59))
    assert len(deliveries(cast.patient)) == 1
    for minutes in (60, 61, 62):
        dispatch.tick(now=later(minutes=minutes, seconds=5))
        dispatch.deliver(now=later(minutes=minutes, seconds=5))
    assert statuses(cast.patient) == [("email", "sent"), ("email", "sent")]
    assert len(post.mails) == 2
    row = ledger(cast.patient)[0]
    assert (row.status, row.nudge_at) == ("sent", None)
    assert "Nobody had answered, so it was sent once more: It was sent by e-mail (attempt 2)" in told(cast, row)


def _acknowledge(cast, row):
    answers.acknowledge(reminder_id=row.id, person=cast.patient, now=later(minutes=30))


def _snooze(cast, row):
    answers.snooze(reminder_id=row.id, person=cast.patient, until=later(minutes=90), now=later(minutes=30))


def _log(cast, row):
    planning.settle(
        person_id=cast.patient.id, purpose=Purpose.CHECK_IN, from_at=later(hours=-12), until_at=later(hours=3),
        reason=Reason.ALREADY_LOGGED, now=later(minutes=30),
    )  # fmt: skip


def _switch_off(cast, row):
    cast.patient.reminder_choices = {"check_in": {"off": True}}
    planning.replan(cast.patient, now=later(minutes=30))


def _go_to_bed_early(cast, row):
    cast.patient.quiet_from, cast.patient.quiet_until = time(21, 30), time(7)
    planning.replan(cast.patient, now=later(minutes=30))


def _end(cast, row):
    planning.end_rule(rule_id=row.rule_id, person_id=cast.patient.id, now=later(minutes=30))


@pytest.mark.parametrize("answer", [_acknowledge, _snooze, _log, _switch_off, _go_to_bed_early, _end])
def test_no_nudge_when_it_was_answered_or_is_not_wanted_any_more(cast, post, answer):
    check_in_rule(cast.patient)
    dispatch.tick(now=DUE)
    dispatch.deliver(now=DUE)
    with door(cast.patient):
        answer(cast, Reminder.objects.filter(person=cast.patient).earliest("due_at"))
    assert nudging.nudge(now=later(minutes=61)) == 0
    assert len(deliveries(cast.patient, channel="email")) == 1
    assert nudging.nudge(now=later(days=1)) == 0


def test_two_beats_at_the_same_moment_nudge_once(cast, post):
    for person in (cast.patient, cast.other_patient, cast.unassigned_patient):
        check_in_rule(person)
    dispatch.tick(now=DUE)
    dispatch.deliver(now=DUE)

    def beat(_):
        try:
            return nudging.nudge(now=later(minutes=61))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(beat, range(4))) == 3
    assert len(deliveries(cast.patient, channel="email")) == 2


def test_a_nudge_that_nobody_takes_leaves_the_reminder_told(cast, post):
    check_in_rule(cast.patient)
    dispatch.tick(now=DUE)
    dispatch.deliver(now=DUE)
    post.answer = "550 no such user"
    dispatch.tick(now=later(minutes=61))
    dispatch.deliver(now=later(minutes=61))
    row = ledger(cast.patient)[0]
    assert (row.status, row.reason, row.sent_at) == ("sent", "", row.sent_at)
    assert deliveries(cast.patient, channel="email")[-1].status == "failed"


# In a session


def pause(person, from_at, until_at):
    with door(person):
        return planning.pause(person_id=person.id, from_at=from_at, until_at=until_at, now=NOON)


def test_in_a_session_habits_are_skipped_and_care_waits_for_its_end(cast):
    check_in_rule(cast.patient)
    appointment(cast.patient, later(days=1, minutes=5))
    assert pause(cast.patient, later(minutes=-30), later(minutes=30)) == 2
    later_rule = series(cast.patient, Purpose.OWN, 21, minute=10)
    with door(cast.patient):
        assert Rule.objects.get(id=later_rule.id).paused_until_at == later(minutes=30)
    claiming.claim(now=later(minutes=10))
    assert outcome(cast.patient, Purpose.CHECK_IN) == outcome(cast.patient, Purpose.OWN) == [("skipped", "in_session")]
    (waits, _) = ledger(cast.patient, purpose="appointment")
    assert (waits.status, waits.send_at) == ("planned", later(minutes=30))
    assert "A session goes on before, so it waits for its end" in told(cast, waits)
    assert "Not sent: a session was going on." in told(cast, ledger(cast.patient, reason="in_session")[0])
    claiming.claim(now=later(minutes=30))
    assert ledger(cast.patient, id=waits.id)[0].status == "due"


# Silence


def days_of_silence(number, *people):
    for day in range(number):
        dispatch.tick(now=later(days=day))
        dispatch.deliver(now=later(days=day))


def silences_of(person):
    with door(person):
        return list(Silence.objects.filter(person=person).order_by("noted_at"))


def test_after_three_silent_days_nothing_is_sent_and_the_care_team_is_told_once(cast, post):
    check_in_rule(cast.patient)
    days_of_silence(6)
    assert [(row.status, row.reason) for row in ledger(cast.patient)][:6] == [
        *[("sent", "")] * 3,
        *[("skipped", "gone_silent")] * 3,
    ]
    (silence,) = silences_of(cast.patient)
    assert (silence.since_at, silence.noted_at, silence.told_at) == (DUE, later(days=3), None)
    assert "the clinic was told instead" in told(cast, ledger(cast.patient, reason="gone_silent")[0])
    assert "resume with the next answer" in told(cast, ledger(cast.patient, status="planned")[0])
    assert [silences.tell(now=later(days=3, seconds=each)) for each in (1, 2, 3)] == [1, 0, 0]
    assert silences_of(cast.patient)[0].told_at == later(days=3, seconds=1)
    claiming.claim(now=later(days=3, seconds=5))
    for member in (cast.psychiatrist, cast.therapist):
        (note,) = ledger(member)
        assert (note.purpose, note.status, note.about_id) == ("silence", "sent", cast.patient.id)
    assert ledger(cast.nurse) == ledger(cast.outsider) == ledger(cast.administrator) == []


def test_two_who_tell_at_once_tell_once(cast):
    check_in_rule(cast.patient)
    for day in range(4):
        claiming.claim(now=later(days=day))
        _deliver_all(cast.patient, later(days=day))

    def tell(_):
        try:
            return silences.tell(now=later(days=4))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(tell, range(3))) == 1
    assert len(ledger(cast.psychiatrist)) == 1


def _deliver_all(person, now):
    with door(person):
        Reminder.objects.filter(person=person, status="due").update(status="sent", sent_at=now)


def test_a_silence_without_a_care_team_waits_for_one(cast):
    check_in_rule(cast.unassigned_patient)
    for day in range(4):
        claiming.claim(now=later(days=day))
    assert silences.tell(now=later(days=4)) == 0
    with access.maintaining("test"):
        CareTeamMember.objects.create(
            clinic=cast.clinic, patient=cast.unassigned_patient, member=cast.nurse, since_at=later(days=4)
        )
    assert silences.tell(now=later(days=5)) == 1
    assert len(ledger(cast.nurse)) == 1


@pytest.mark.parametrize("answer", ["log", "acknowledge", "new hour"])
def test_whoever_is_heard_of_again_is_reminded_again(cast, answer):
    rule = check_in_rule(cast.patient)
    for day in range(5):
        claiming.claim(now=later(days=day))
        _deliver_all(cast.patient, later(days=day))
    heard_at = later(days=4, hours=1)
    with door(cast.patient):
        if answer == "log":  # of yesterday, from a phone that was offline
            planning.settle(
                person_id=cast.patient.id, purpose=Purpose.CHECK_IN, from_at=later(days=3, hours=-12),
                until_at=later(days=3, hours=3), reason=Reason.ALREADY_LOGGED, now=heard_at,
            )  # fmt: skip
        elif answer == "acknowledge":
            row = Reminder.objects.filter(person=cast.patient, status="sent").latest("due_at")
            answers.acknowledge(reminder_id=row.id, person=cast.patient, now=heard_at)
        else:
            planning.set_rule(
                id=rule.id, person=cast.patient, purpose=Purpose.CHECK_IN, rrule="FREQ=DAILY",
                start=EVENING - timedelta(minutes=5), clinic_id=cast.clinic.id, now=heard_at,
            )  # fmt: skip
    assert silences_of(cast.patient)[0].ended_at == heard_at
    assert silences.tell(now=heard_at) == 0
    claiming.claim(now=later(days=5))
    (due,) = ledger(cast.patient, status="due")
    assert ledger(cast.patient, status="planned")[0].unanswered_since_at == due.due_at


def test_an_answer_in_between_begins_the_count_anew_and_a_new_zone_does_not(cast):
    check_in_rule(cast.patient)
    for day in range(2):
        claiming.claim(now=later(days=day))
        _deliver_all(cast.patient, later(days=day))
    (planned,) = ledger(cast.patient, status="planned")
    assert planned.unanswered_since_at == DUE
    with door(cast.patient):
        cast.patient.time_zone = "Asia/Kathmandu"
        planning.replan(cast.patient, now=later(days=1, hours=1))
    (planned,) = ledger(cast.patient, status="planned")
    assert planned.unanswered_since_at == DUE
    with door(cast.patient):
        row = Reminder.objects.filter(person=cast.patient, status="sent").latest("due_at")
        answers.acknowledge(reminder_id=row.id, person=cast.patient, now=later(days=1, hours=2))
    assert ledger(cast.patient, status="planned")[0].unanswered_since_at is None


def test_a_log_while_nothing_is_counted_costs_no_more_than_one_question(cast):
    check_in_rule(cast.patient)
    with door(cast.patient):
        _log(cast, None)
    with door(cast.patient), CaptureQueriesContext(connection) as asked:
        _log(cast, None)
    assert len(asked) == 1


def test_the_silence_of_a_patient_of_another_clinic_is_told_there_alone(cast):
    check_in_rule(cast.outside_patient, start=EVENING)
    (row,) = ledger(cast.outside_patient)
    for day in range(4):
        claiming.claim(now=row.due_at + timedelta(days=day))
    assert silences.tell(now=row.due_at + timedelta(days=4)) == 1
    assert len(ledger(cast.outsider)) == 1
    assert ledger(cast.psychiatrist) == ledger(cast.therapist) == []
    assert cast.client(cast.psychiatrist).send("GET", f"reminders/{uuid.uuid4()}").status_code == 404


def test_staff_are_told_in_the_morning_when_it_is_quiet(cast):
    with door(cast.psychiatrist):
        cast.psychiatrist.quiet_from, cast.psychiatrist.quiet_until = time(20), time(8)
        cast.psychiatrist.save(update_fields=["quiet_from", "quiet_until"])
    check_in_rule(cast.patient)
    for day in range(4):
        claiming.claim(now=later(days=day))
    silences.tell(now=later(days=3, seconds=1))
    (note,) = ledger(cast.psychiatrist)
    assert note.send_at == instant(datetime(2026, 11, 28, 8), MUMBAI)
