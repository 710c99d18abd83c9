"""Chains: one after the other is told until somebody answers, and nobody is told twice at the same instant."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from django.db import connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from backend.accounts import access, people
from backend.accounts.models import Membership, Person
from backend.reminders import answers, chains, dispatch, escalation, planning
from backend.reminders.escalation import EmptyChain, Step
from backend.reminders.models import Escalation, Purpose, Reminder, Rule
from backend.reminders.planning import About
from tests.reminders.engine import NOON, deliveries, ledger

ALERT = About("alert", uuid.UUID(int=7))


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


@contextmanager
def as_patient(cast):
    with access.acting_as(cast.patient.id, cast.clinic.id, "test"):
        yield


def open_chain(cast, *steps: Step, now: datetime = NOON, about: About = ALERT, purpose: str = Purpose.ALERT):
    """A chain about the patient, opened in the patient's own transaction, as an answer that raises an alert does."""
    with as_patient(cast):
        return escalation.open(
            person=cast.patient, clinic_id=cast.clinic.id, purpose=purpose, about=about, steps=steps, now=now
        )


def three(cast) -> tuple[Step, ...]:
    """Nurse, then psychiatrist, then administrator."""
    return Step([cast.nurse.id], 10), Step([cast.psychiatrist.id], 20), Step([cast.administrator.id], 30)


def told(person: Person) -> list[float]:
    """At which minutes the person was told."""
    return [(row.due_at - NOON).total_seconds() / 60 for row in ledger(person, about_type="escalation")]


def standing(chain: Escalation) -> Escalation:
    with access.maintaining("test"):
        return Escalation.objects.get(id=chain.id)


def acknowledge(person: Person, now: datetime) -> Reminder:
    """Answers the latest of the person's reminders."""
    latest = ledger(person, about_type="escalation")[-1]
    with access.acting_as(person.id, None, "test"):
        return answers.acknowledge(reminder_id=latest.id, person=person, now=now)


def test_the_first_step_is_told_by_the_next_tick_in_the_patients_own_transaction(cast):
    chain = open_chain(cast, *three(cast))
    dispatch.tick(now=after(0))
    assert [(row.status, row.due_at) for row in ledger(cast.nurse)] == [("sent", NOON)]
    assert [row.channel for row in deliveries(cast.nurse)] == ["inbox"]
    assert told(cast.psychiatrist) == told(cast.patient) == []
    assert (chain.step, chain.round, chain.next_at) == (1, 1, after(10))


def test_each_step_follows_at_its_deadline_and_not_before(cast):
    open_chain(cast, *three(cast))
    for minute in (0, 9.9, 10, 29.9, 30):
        dispatch.tick(now=after(minute))
    assert told(cast.nurse) == [0]
    assert told(cast.psychiatrist) == [10]
    assert told(cast.administrator) == [30]


def test_the_worker_that_is_kept_for_safety_lets_chains_go_on_by_itself(cast):
    open_chain(cast, *three(cast))
    for minute in (0, 10):
        dispatch.tick_safety(now=after(minute))
    assert (told(cast.nurse), told(cast.psychiatrist)) == ([0], [10])
    assert [row.status for row in ledger(cast.psychiatrist)] == ["sent"]


def test_after_the_last_step_it_begins_again_and_tells_the_earlier_ones_too_for_ever(cast):
    chain = open_chain(cast, *three(cast))
    for minute in (10, 30, 60, 70, 90, 120, 130):
        dispatch.tick(now=after(minute))
    assert told(cast.nurse) == [0, 60, 70, 90, 120, 130]
    assert told(cast.psychiatrist) == [10, 70, 90, 130]
    assert told(cast.administrator) == [30, 90]
    assert (standing(chain).round, standing(chain).step) == (3, 2)


def test_an_hour_without_beat_is_one_late_step_and_the_next_has_its_whole_time(cast):
    chain = open_chain(cast, *three(cast))
    dispatch.tick(now=after(75))
    dispatch.tick(now=after(75))
    assert (told(cast.nurse), told(cast.psychiatrist), told(cast.administrator)) == ([0], [10], [])
    assert standing(chain).next_at == after(95)
    assert [row.status for row in ledger(cast.psychiatrist)] == ["sent"]


def test_an_acknowledgement_ends_it_and_settles_the_others_within_a_tick(cast):
    chain = open_chain(cast, *three(cast))
    for minute in (0, 10):
        dispatch.tick(now=after(minute))
    acknowledge(cast.psychiatrist, after(12))
    dispatch.tick(now=after(12.1))
    ended = standing(chain)
    assert (ended.acknowledged_at, ended.acknowledged_by) == (after(12), cast.psychiatrist.id)
    assert ended.settled_at == after(12.1)
    assert [(row.status, row.reason) for row in ledger(cast.nurse)] == [("done", "answered_by_other")]
    assert [row.status for row in ledger(cast.psychiatrist)] == ["acknowledged"]
    dispatch.tick(now=after(600))
    assert told(cast.administrator) == []


def test_an_earlier_reminder_of_who_answers_is_done_without_another_s_name(cast):
    open_chain(cast, Step([cast.nurse.id], 10))
    for minute in (0, 10):
        dispatch.tick(now=after(minute))
    acknowledge(cast.nurse, after(11))
    dispatch.tick(now=after(12))
    assert [(row.status, row.reason) for row in ledger(cast.nurse)] == [("done", ""), ("acknowledged", "")]


def test_what_waits_to_be_sent_does_not_leave_once_another_has_answered(cast, post):
    with access.maintaining("test"):
        Person.objects.filter(id__in=[cast.nurse.id, cast.therapist.id]).update(channels=["email"])
    open_chain(cast, Step([cast.nurse.id, cast.therapist.id, cast.psychiatrist.id], 10))
    dispatch.tick(now=after(0))
    acknowledge(cast.psychiatrist, after(0.01))
    dispatch.deliver(now=after(0.02))
    assert post.mails == []
    assert {row.error for row in deliveries(cast.nurse) if row.channel == "email"} == {"no longer due"}
    dispatch.tick(now=after(0.03))
    assert [row.reason for row in ledger(cast.therapist)] == ["answered_by_other"]


def test_an_alert_that_is_raised_again_while_open_joins_the_chain(cast):
    chain = open_chain(cast, *three(cast))
    assert open_chain(cast, *three(cast), now=after(5)).id == chain.id
    assert told(cast.nurse) == [0]


def test_the_same_alert_opens_a_new_chain_once_the_first_was_answered(cast):
    chain = open_chain(cast, *three(cast))
    acknowledge(cast.nurse, after(1))
    again = open_chain(cast, *three(cast), now=after(5))
    assert again.id != chain.id
    assert told(cast.nurse) == [0, 5]


def test_two_who_open_it_in_the_same_moment_get_one_chain(cast):
    def open_() -> uuid.UUID:
        try:
            return open_chain(cast, *three(cast)).id
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        found = {each.result() for each in [pool.submit(open_) for _ in range(4)]}
    assert len(found) == 1
    assert told(cast.nurse) == [0]


def test_a_level_that_rises_takes_the_place_of_the_open_chain(cast):
    old = open_chain(cast, *three(cast))
    dispatch.tick(now=after(0))
    with as_patient(cast):
        new = escalation.raise_again(
            person=cast.patient,
            clinic_id=cast.clinic.id,
            purpose=Purpose.ALERT,
            about=ALERT,
            steps=[Step([cast.psychiatrist.id], 5)],
            now=after(3),
        )
    dispatch.tick(now=after(3))
    assert (standing(old).stopped_at, standing(new).next_at) == (after(3), after(8))
    assert [row.status for row in ledger(cast.nurse)] == ["done"]
    assert told(cast.psychiatrist) == [3]


def test_a_chain_that_is_stopped_tells_nobody_any_more(cast):
    chain = open_chain(cast, *three(cast))
    dispatch.tick(now=after(0))
    with access.acting_as(cast.psychiatrist.id, cast.clinic.id, "test"):
        assert escalation.stop(about=ALERT, clinic_id=cast.clinic.id, now=after(2)) == 1
        assert escalation.stop(about=ALERT, clinic_id=cast.clinic.id, now=after(2)) == 0
    dispatch.tick(now=after(60))
    assert standing(chain).stopped_at == after(2)
    assert (told(cast.nurse), told(cast.psychiatrist)) == ([0], [])


def test_who_left_the_clinic_is_passed_over_and_the_others_are_told(cast):
    with access.maintaining("test"):
        people.leave(membership=Membership.objects.get(person=cast.nurse), now=NOON)
    open_chain(cast, Step([cast.nurse.id, cast.therapist.id], 10), Step([cast.nurse.id], 10), three(cast)[1])
    dispatch.tick(now=after(10))
    assert told(cast.nurse) == []
    assert (told(cast.therapist), told(cast.psychiatrist)) == ([0], [10])


def test_who_leaves_later_can_not_end_it_and_is_told_no_more(cast):
    chain = open_chain(cast, *three(cast))
    dispatch.tick(now=after(0))
    with access.acting_as(cast.administrator.id, cast.clinic.id, "test"):
        people.leave(membership=Membership.objects.get(person=cast.nurse), now=after(1))
    acknowledge(cast.nurse, after(2))
    for minute in (10, 30, 60):
        dispatch.tick(now=after(minute))
    assert told(cast.nurse) == [0]
    assert (told(cast.psychiatrist), told(cast.administrator)) == ([10, 60], [30])
    assert standing(chain).acknowledged_at is None


def test_what_was_on_its_way_to_who_leaves_stays_here(cast):
    open_chain(cast, *three(cast))
    with access.acting_as(cast.administrator.id, cast.clinic.id, "test"):
        people.leave(membership=Membership.objects.get(person=cast.nurse), now=after(0))
    dispatch.tick(now=after(0))
    assert [(row.status, row.reason) for row in ledger(cast.nurse)] == [("skipped", "rule_ended")]


def test_the_story_names_roles_to_staff_and_the_clinic_to_the_patient(cast):
    open_chain(cast, Step([cast.patient.id], 10), Step([cast.nurse.id, cast.psychiatrist.id], 20))
    for minute in (0, 10, 30):
        dispatch.tick(now=after(minute))
    path = f"reminders/{ledger(cast.patient, about_type='escalation')[0].id}/explain"
    mine = cast.client(cast.patient)
    assert mine.send("GET", path).json()["sentences"][-4:-1] == [
        "You were told at 24 November 2026, 12:00 and at 24 November 2026, 12:30.",
        "Your clinic was told at 24 November 2026, 12:10.",
        "Nobody has answered yet; the next are told at 24 November 2026, 12:40.",
    ]
    acknowledge(cast.psychiatrist, after(31))
    assert "Your clinic answered at 24 November 2026, 12:31" in mine.send("GET", path).json()["text"]
    told_to_staff = cast.client(cast.psychiatrist).send("GET", path).json()["text"]
    assert "At 24 November 2026, 12:10 it was told to the nurse and the psychiatrist." in told_to_staff
    assert "The psychiatrist answered at 24 November 2026, 12:31" in told_to_staff
    assert "Psychiatrist" not in mine.send("GET", path).json()["text"]


@pytest.mark.parametrize(
    ("steps", "gap"),
    [
        ((), "The chain has no step."),
        ((Step([], 10),), "Step 1 names nobody."),
        ((Step([uuid.UUID(int=5)], 10),), "Step 1 names nobody who is in the clinic now."),
    ],
)
def test_an_empty_chain_is_refused_and_the_gap_named(cast, steps, gap):
    with pytest.raises(EmptyChain, match=gap):
        open_chain(cast, *steps)
    with access.maintaining("test"):
        assert not Escalation.objects.exists()


def test_who_catches_the_refusal_goes_on_as_the_patient(cast):
    gone = {"steps": [Step([cast.outsider.id], 10)], "purpose": Purpose.ALERT, "about": ALERT, "now": NOON}
    with as_patient(cast):
        for refused in (escalation.open, escalation.raise_again):
            with pytest.raises(EmptyChain):
                refused(person=cast.patient, clinic_id=cast.clinic.id, **gone)
            with connections["default"].cursor() as cursor:
                cursor.execute("SELECT current_setting('afterglow.person'), current_setting('afterglow.clinic')")
                assert cursor.fetchone() == (str(cast.patient.id), str(cast.clinic.id))


def test_an_answer_in_the_very_moment_of_the_next_step_leaves_nothing_open(cast):
    for turn in range(8):
        chain = open_chain(cast, *three(cast), about=About("alert", uuid.uuid4()))
        chains.go_on(now=after(0))
        mine = ledger(cast.nurse, about_id=chain.id)[0]

        def answer(id: uuid.UUID = mine.id) -> None:
            with access.acting_as(cast.nurse.id, None, "test"):
                answers.acknowledge(reminder_id=id, person=cast.nurse, now=after(10))
            connections.close_all()

        with ThreadPoolExecutor(2) as pool:
            first, second = (answer, _go_on) if turn % 2 else (_go_on, answer)
            for each in [pool.submit(one, after(10)) if one is _go_on else pool.submit(one) for one in (first, second)]:
                each.result()
        chains.go_on(now=after(10.1))
        assert standing(chain).acknowledged_by == cast.nurse.id
        assert {row.status for one in (cast.nurse, cast.psychiatrist) for row in ledger(one, about_id=chain.id)} <= {
            "acknowledged", "done",
        }  # fmt: skip


def test_a_policy_with_a_gap_is_told_before_it_counts(cast):
    steps = [Step([cast.nurse.id], 0), Step([cast.outsider.id], 10)]
    with access.acting_as(cast.administrator.id, cast.clinic.id, "test"):
        found = escalation.gaps(clinic_id=cast.clinic.id, steps=steps)
    assert found == [
        "Step 1 leaves no time to answer; give it a minute at least.",
        "Step 2 names nobody who is in the clinic now.",
    ]


def test_a_change_of_channels_takes_nothing_back_that_the_chain_has_told(cast):
    open_chain(cast, *three(cast))
    with access.acting_as(cast.nurse.id, cast.clinic.id, "test"):
        nurse = Person.objects.get(id=cast.nurse.id)
        nurse.channels = ["email"]
        nurse.save(update_fields=["channels"])
        planning.replan(nurse, now=after(0))
    assert [row.status for row in ledger(cast.nurse)] == ["planned"]
    with access.maintaining("test"):
        assert Rule.objects.get(person=cast.nurse).channels == ["email"]


def test_a_chain_of_care_waits_for_the_end_of_the_quiet_hours(cast):
    with access.maintaining("test"):
        Person.objects.filter(id=cast.nurse.id).update(quiet_from="11:00", quiet_until="13:00")
    open_chain(cast, Step([cast.therapist.id], 10), three(cast)[0], purpose=Purpose.QUESTIONNAIRE)
    dispatch.tick(now=after(10))
    (row,) = ledger(cast.nurse)
    assert (row.due_at, row.send_at) == (after(10), after(60))


def test_what_is_wrong_with_one_chain_stops_no_other(cast):
    broken = open_chain(cast, *three(cast), about=About("alert", uuid.UUID(int=8)))
    open_chain(cast, *three(cast))
    with access.maintaining("test"):
        Escalation.objects.filter(id=broken.id).update(steps=[{"people": "?"}] * 3)
    dispatch.tick(now=after(10))
    assert told(cast.psychiatrist) == [10]
    assert standing(broken).next_at == after(11)


def test_somebody_from_another_clinic_can_neither_see_nor_answer_it(cast):
    open_chain(cast, *three(cast))
    dispatch.tick(now=after(0))
    reminder = ledger(cast.nurse)[0].id
    outside = cast.client(cast.outsider)
    assert outside.send("GET", f"reminders/{reminder}").status_code == 404
    assert outside.send("GET", f"reminders/{reminder}/explain").status_code == 404
    assert outside.send("POST", f"reminders/{reminder}/acknowledge").status_code == 404
    assert cast.client(cast.psychiatrist).send("POST", f"reminders/{reminder}/acknowledge").status_code == 404
    with access.acting_as(cast.outsider.id, cast.elsewhere.id, "test"):
        assert not Escalation.objects.exists()
        assert escalation.stop(about=ALERT, clinic_id=cast.elsewhere.id, now=NOON) == 0


def test_the_api_s_acknowledgement_ends_the_chain(cast):
    chain = open_chain(cast, *three(cast))
    dispatch.tick(now=after(0))
    path = f"reminders/{ledger(cast.nurse)[0].id}/acknowledge"
    nurse = cast.client(cast.nurse)
    assert [nurse.send("POST", path).json()["status"] for _ in range(2)] == ["acknowledged"] * 2
    assert standing(chain).acknowledged_by == cast.nurse.id


MINUTES = st.integers(1, 40)
# Each example leaves its rows to the next one, so shrinking would not repeat what happened.


@settings(
    max_examples=25, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    chain=st.lists(st.tuples(st.sets(st.integers(0, 3), min_size=1), MINUTES), min_size=1, max_size=4),
    ticks=st.lists(st.integers(1, 50), max_size=12),
    answered=st.none() | st.tuples(st.integers(0, 11), st.integers(0, 3)),
)
def test_whatever_the_chain_and_the_clock_somebody_is_told_in_time_and_once(cast, chain, ticks, answered):
    staff = [cast.nurse, cast.psychiatrist, cast.therapist, cast.administrator]
    about = About("alert", uuid.uuid4())
    row = open_chain(cast, *(Step([staff[at].id for at in people], n) for people, n in chain), about=about)
    now, ended = NOON, False
    for place, minutes in enumerate(ticks):
        now += timedelta(minutes=minutes)
        before, count = standing(row), _count(row)
        with ThreadPoolExecutor(2) as pool:
            assert all(each.result() >= 0 for each in [pool.submit(_go_on, now) for _ in range(2)])
        present, written = standing(row), _count(row) - count
        if ended or before.next_at > now:
            assert written == 0
            assert (present.step, present.round, present.next_at) == (before.step, before.round, before.next_at)
        else:
            first = 0 if before.round > 1 else before.step
            reached = set().union(*(people for people, _ in chain[first : before.step + 1]))
            assert written == len(reached), "each once, though two dispatchers came"
            assert present.next_at == now + timedelta(minutes=chain[before.step][1])
            assert (present.round, present.step) == divmod((before.round * len(chain)) + before.step + 1, len(chain))
        if answered is not None and place == answered[0] and not ended:
            person = staff[answered[1]]
            mine = ledger(person, about_id=row.id)
            if mine:
                with access.acting_as(person.id, None, "test"):
                    answers.acknowledge(reminder_id=mine[-1].id, person=person, now=now)
                ended = True
                chains.go_on(now=now)
                left = [each for one in staff for each in ledger(one, about_id=row.id)]
                assert {each.status for each in left} <= {"done", "acknowledged"}
    for person in staff:
        dues = [each.due_at for each in ledger(person, about_id=row.id)]
        assert len(dues) == len(set(dues))
    assert ended or standing(row).next_at is not None


def _count(chain: Escalation) -> int:
    with access.maintaining("test"):
        return Reminder.objects.filter(about_id=chain.id).count()


def _go_on(now: datetime) -> int:
    try:
        return chains.go_on(now=now)
    finally:
        connections.close_all()
