"""What a person chooses about reminders over the profile, and what comes of it."""
# ruff: noqa: DTZ001  (wall times are naive on purpose)

import uuid
from datetime import datetime, time, timedelta

import pytest

from backend.accounts.models import Person
from backend.common import clock
from backend.reminders import claiming, dispatch, planning
from backend.reminders.models import Purpose, Rule
from tests.reminders.engine import DUE, NOON, check_in_rule, deliveries, door, later, ledger, statuses

RULE = {"title": "Stretch", "rrule": "FREQ=DAILY", "start": "2026-11-24T08:00", "time_zone": "Asia/Kolkata"}


def patch(cast, body, person=None):
    return cast.client(person or cast.patient).send("PATCH", "me", body)


def rule_of(person):
    with door(person):
        return Rule.objects.get(person=person)


def test_choices_are_merged_purpose_by_purpose_and_null_takes_them_back(cast):
    usual = cast.client(cast.patient).send("GET", "me").json()
    assert (usual["reminder_choices"], usual["daily_cap"], usual["detailed_messages"]) == ({}, None, False)
    body = patch(
        cast, {"reminder_choices": {"check_in": {"channels": [], "nudge": False}, "own": {"off": True}}}
    ).json()
    assert body["reminder_choices"] == {"check_in": {"channels": [], "nudge": False}, "own": {"off": True}}
    body = patch(cast, {"reminder_choices": {"check_in": {"channels": None}, "own": None}}).json()
    assert body["reminder_choices"] == {"check_in": {"nudge": False}}
    body = patch(cast, {"daily_cap": 2, "detailed_messages": True}).json()
    assert (body["daily_cap"], body["detailed_messages"]) == (2, True)
    assert body["reminder_choices"] == {"check_in": {"nudge": False}}
    body = patch(cast, {"reminder_choices": None, "daily_cap": None, "detailed_messages": False}).json()
    assert (body["reminder_choices"], body["daily_cap"], body["detailed_messages"]) == ({}, None, False)
    with door(cast.patient):
        assert Person.objects.get(id=cast.patient.id).detailed_messages_at is None


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"reminder_choices": {"alert": {"off": True}}}, "/reminder_choices/alert"),
        ({"reminder_choices": {"silence": {"off": True}}}, "/reminder_choices/silence/off"),
        ({"reminder_choices": {"check_in": {"channels": ["pigeon"]}}}, "/reminder_choices/check_in/channels/0"),
        ({"reminder_choices": {"check_in": {"off": "yes"}}}, "/reminder_choices/check_in/off"),
        ({"reminder_choices": {"appointment": {"nudge": True}}}, "/reminder_choices/appointment/nudge"),
        ({"reminder_choices": []}, "/reminder_choices"),
        ({"daily_cap": 0}, "/daily_cap"),
        ({"daily_cap": 21}, "/daily_cap"),
        ({"daily_cap": True}, "/daily_cap"),
        ({"detailed_messages": None}, "/detailed_messages"),
    ],
)
def test_a_choice_with_a_fault_is_refused_with_the_field(cast, change, pointer):
    answer = patch(cast, change)
    assert answer.status_code == 400
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert cast.client(cast.patient).send("GET", "me").json()["reminder_choices"] == {}


def test_what_was_switched_off_is_skipped_with_its_reason_until_it_is_on_again(cast):
    check_in_rule(cast.patient)
    patch(cast, {"reminder_choices": {"check_in": {"off": True}}})
    (row,) = ledger(cast.patient)
    client = cast.client(cast.patient)
    assert "switched off" in client.send("GET", f"reminders/{row.id}/explain").json()["text"]
    claiming.claim(now=DUE)
    skipped, planned = ledger(cast.patient)
    assert (skipped.status, skipped.reason, planned.status) == ("skipped", "opted_out", "planned")
    text = client.send("GET", f"reminders/{row.id}/explain").json()["text"]
    assert "Not sent: messages of this kind were switched off." in text
    assert deliveries(cast.patient) == []
    patch(cast, {"reminder_choices": {"check_in": {"off": None}}})
    claiming.claim(now=later(days=1))
    assert [row.status for row in ledger(cast.patient)] == ["skipped", "due", "planned"]


def test_safety_cannot_be_switched_off(cast):
    with door(cast.patient):
        cast.patient.reminder_choices = {"alert": {"off": True}}
        cast.patient.save(update_fields=["reminder_choices"])
        planning.set_anchor(
            person=cast.patient, purpose=Purpose.ALERT, about=("alert", uuid.uuid4()), anchor_at=DUE,
            offsets=({"minutes": 0},), clinic_id=cast.clinic.id, now=later(seconds=-1),
        )  # fmt: skip
    claiming.claim(now=DUE)
    assert ("email", "pending") in statuses(cast.patient)


def test_a_purposes_channels_replace_the_general_ones_and_none_is_the_inbox_alone(cast, post):
    check_in_rule(cast.patient)
    patch(cast, {"reminder_choices": {"check_in": {"channels": []}}})
    claiming.claim(now=DUE)
    assert statuses(cast.patient) == [("inbox", "sent")]
    patch(cast, {"channels": [], "reminder_choices": {"check_in": {"channels": ["email"]}}})
    claiming.claim(now=later(days=1))
    assert [each.channel for each in deliveries(cast.patient, status="pending")] == ["email"]
    # Asked again at the hand-over.
    with door(cast.patient):
        Person.objects.filter(id=cast.patient.id).update(reminder_choices={"check_in": {"channels": []}})
    dispatch.deliver(now=later(days=1))
    assert post.mails == []


def test_the_own_number_is_copied_to_rules_made_before_and_after(cast):
    check_in_rule(cast.patient)
    patch(cast, {"daily_cap": 7})
    assert rule_of(cast.patient).daily_cap == 7
    patch(cast, {"daily_cap": None})
    assert rule_of(cast.patient).daily_cap is None


def test_a_nudge_is_for_the_check_in_unless_a_rule_or_the_profile_says_so(cast):
    client, path = cast.client(cast.patient), f"reminder-rules/{uuid.uuid4()}"

    def nudges(change):
        return client.send("PUT", path, RULE | change).json()["nudge"]

    assert [nudges({"purpose": "own"}), nudges({"purpose": "check_in"})] == [False, True]
    assert [nudges({"nudge": True}), nudges({"purpose": "check_in", "nudge": False})] == [True, False]
    patch(cast, {"reminder_choices": {"check_in": {"nudge": True}}})
    assert client.send("GET", path).json()["nudge"] is True
    patch(cast, {"quiet_from": "22:00", "quiet_until": "07:00"})
    assert client.send("GET", path).json()["nudge"] is True
    patch(cast, {"reminder_choices": {"check_in": {"nudge": False}}})
    assert client.send("GET", path).json()["nudge"] is False
    assert nudges({"purpose": "check_in"}) is False


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"start": "2026-11-24T23:30"}, "/start"),
        ({"rrule": "FREQ=DAILY;BYHOUR=23,2"}, "/rrule"),
        ({"start": "2026-11-24T15:00", "time_zone": "America/New_York"}, "/start"),  # half past one at night in Mumbai
        ({"rrule": "FREQ=DAILY;BYHOUR=20,23"}, None),
        ({"start": "2026-11-24T06:00"}, None),  # waits for the end of the quiet hours
        ({"start": "2026-11-24T23:30", "time_zone": "America/New_York"}, None),
    ],
)
def test_a_rule_that_would_never_be_sent_is_refused_with_the_quiet_hours(cast, change, pointer):
    patch(cast, {"quiet_from": "22:00", "quiet_until": "07:00"})
    answer = cast.client(cast.patient).send("PUT", f"reminder-rules/{uuid.uuid4()}", RULE | change)
    if pointer is None:
        assert answer.status_code == 201
        return
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"], error["code"]) == (400, pointer, "always_quiet")
    assert "22:00 to 07:00" in error["detail"]
    assert ledger(cast.patient) == []


def test_quiet_hours_set_later_delete_nothing_and_explain_tells(cast):
    def quiet(start, end):
        with door(cast.patient):
            cast.patient.quiet_from, cast.patient.quiet_until = start, end
            cast.patient.save(update_fields=["quiet_from", "quiet_until"])
            planning.replan(cast.patient, now=NOON)

    check_in_rule(cast.patient, start=datetime(2026, 11, 24, 23))
    quiet(time(22), time(7))
    (row,) = ledger(cast.patient)
    client = cast.client(cast.patient)
    assert row.status == "planned"
    assert (
        "will not be sent: it falls into the quiet hours"
        in client.send("GET", f"reminders/{row.id}/explain").json()["text"]
    )
    quiet(None, None)
    assert (
        "It is planned for 24 November 2026, 23:00." in client.send("GET", f"reminders/{row.id}/explain").json()["text"]
    )
    quiet(time(22), time(7))
    claiming.claim(now=later(hours=2))
    skipped, planned = ledger(cast.patient)
    assert (skipped.reason, planned.status) == ("quiet_hours", "planned")
    text = client.send("GET", f"reminders/{row.id}/explain").json()["text"]
    assert "Not sent: it fell into the quiet hours and would have made no sense after them." in text


def test_another_persons_choices_change_nothing_of_mine(cast):
    check_in_rule(cast.patient)
    for other in (cast.other_patient, cast.outsider, cast.psychiatrist):
        patch(cast, {"reminder_choices": {"check_in": {"off": True}}, "daily_cap": 1}, person=other)
    assert rule_of(cast.patient).muted_at is None
    assert cast.client(cast.patient).send("GET", "me").json()["reminder_choices"] == {}


def test_planning_anew_twice_changes_nothing(cast):
    check_in_rule(cast.patient)
    with door(cast.patient):
        cast.patient.reminder_choices = {"check_in": {"off": True}}
        cast.patient.quiet_from, cast.patient.quiet_until = time(20), time(8)
        cast.patient.save(update_fields=["reminder_choices", "quiet_from", "quiet_until"])
    told = []
    for minutes in (0, 1):
        with door(cast.patient):
            planning.replan(cast.patient, now=clock.now() + timedelta(minutes=minutes))
        told.append([(row.version, row.send_at) for row in ledger(cast.patient)])
    assert told[0] == told[1]
    assert rule_of(cast.patient).version == 2
