"""What the care team does about a patient's reminders, over the API: takes one back, sends again, lets be, and why."""

import uuid
from datetime import time, timedelta

import pytest

from backend.accounts import access, people
from backend.accounts.models import ConsentRecord, Person, Role
from backend.common import clock
from backend.reminders import claiming, dispatch, planning
from backend.reminders.models import Delivery, Purpose, Reminder, Rule
from tests.accounts.trail import events
from tests.cast import JOINED
from tests.reminders.engine import appointment, at_once, check_in_rule, deliveries, door, ledger, statuses
from tests.reminders.test_sms import has_number, refused

WHY = {"reason": "Asked for it on the telephone"}


@pytest.fixture
def now():
    return clock.now().replace(microsecond=0)


def _check_in(cast, now, *, minutes=-1):
    """A check-in in Mumbai, due so many minutes from now, planned a while ago."""
    start = (now + timedelta(hours=5, minutes=30 + minutes)).replace(tzinfo=None)
    check_in_rule(cast.patient, now=now - timedelta(minutes=5), start=start)


@pytest.fixture
def sent(cast, now, post):
    """A check-in reminder that was sent a moment ago."""
    _check_in(cast, now)
    claiming.claim(now=now)
    dispatch.deliver(now=now)
    return ledger(cast.patient)[0]


def _in_doubt(cast, now, post):
    """A check-in reminder whose mail was handed over, but never confirmed."""
    _check_in(cast, now)
    post.answer = ""
    post.hangs_up = True
    claiming.claim(now=now)
    dispatch.deliver(now=now)
    post.answer, post.hangs_up = "250 OK", False
    post.mails.clear()
    return ledger(cast.patient)[0]


def _change(model, id, **values):
    with access.maintaining("test"):
        model.objects.filter(id=id).update(**values)


def test_a_planned_reminder_is_taken_back_and_its_series_goes_on(cast, now, post):
    _check_in(cast, now, minutes=30)
    row = ledger(cast.patient)[0]
    team = cast.client(cast.therapist)
    first = team.send("POST", f"reminders/{row.id}/cancel", WHY)
    again = team.send("POST", f"reminders/{row.id}/cancel", {"reason": "once more"})
    assert (first.status_code, first.json()["status"], first.json()["reason"]) == (200, "skipped", "cancelled_by_staff")
    assert (again.status_code, again.json()) == (200, first.json())
    taken, following = ledger(cast.patient)
    assert following.due_at == taken.due_at + timedelta(days=1)
    assert following.status == "planned"
    claiming.claim(now=row.due_at + timedelta(minutes=1))
    dispatch.deliver(now=row.due_at + timedelta(minutes=1))
    assert post.mails == []
    claiming.claim(now=following.due_at)
    dispatch.deliver(now=following.due_at)
    assert len(post.mails) == 1


def test_a_plan_made_anew_does_not_bring_back_what_staff_took_back(cast, now):
    _check_in(cast, now, minutes=30)
    row = ledger(cast.patient)[0]
    cast.client(cast.therapist).send("POST", f"reminders/{row.id}/cancel", WHY)
    cast.client(cast.patient).send("PATCH", "me", {"quiet_from": "01:00", "quiet_until": "01:30"})
    assert [each.status for each in ledger(cast.patient)] == ["skipped", "planned"]


def test_the_reason_is_for_colleagues_and_the_patient_reads_who_and_that(cast, now):
    _check_in(cast, now, minutes=30)
    row = ledger(cast.patient)[0]
    cast.client(cast.therapist).send("POST", f"reminders/{row.id}/cancel", WHY)
    (told,) = [event for event in events(person_id=cast.therapist.id) if event.object_type == "reminders/cancel"]
    assert (told.action, told.reason, told.patients) == ("update", WHY["reason"], [cast.patient.id])
    for path in (f"reminders/{row.id}/explain", f"reminders/{row.id}", "reminders", "audit"):
        assert WHY["reason"] not in cast.client(cast.patient).send("GET", path).content.decode(), path
    story = cast.client(cast.patient).send("GET", f"reminders/{row.id}/explain").json()["text"]
    assert "the clinic took it back" in story
    trail = cast.client(cast.patient).send("GET", "audit").json()["results"]
    assert "reminders/cancel" in {event["object"]["type"] for event in trail}
    office = cast.client(cast.administrator).send("GET", "audit").json()["results"]
    assert WHY["reason"] in {event["reason"] for event in office}


def test_what_is_pending_is_given_up_at_the_workers_look(cast, now, post):
    _check_in(cast, now)
    claiming.claim(now=now)
    row = ledger(cast.patient)[0]
    assert row.status == "due"
    assert cast.client(cast.therapist).send("POST", f"reminders/{row.id}/cancel", WHY).status_code == 200
    dispatch.deliver(now=now)
    assert post.mails == []
    assert deliveries(cast.patient, channel="email")[0].error == "no longer due"
    assert [each.status for each in ledger(cast.patient)] == ["skipped", "planned"]


def test_a_claim_in_the_same_moment_comes_before_or_after_and_the_series_is_whole(cast, now):
    _check_in(cast, now)
    row, team = ledger(cast.patient)[0], cast.client(cast.therapist)
    (answer,) = at_once(
        cast.patient,
        lambda: team.send("POST", f"reminders/{row.id}/cancel", WHY),
        before=lambda: claiming.claim(now=now),
    )
    assert answer.json()["status"] == "skipped"
    assert [each.status for each in ledger(cast.patient)] == ["skipped", "planned"]
    assert len({each.due_at for each in ledger(cast.patient)}) == 2


def test_what_is_being_handed_over_or_was_sent_cannot_be_taken_back(cast, now, sent):
    team = cast.client(cast.therapist)
    answer = team.send("POST", f"reminders/{sent.id}/cancel", WHY)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_sent")
    _change(Reminder, sent.id, status="due")
    held = deliveries(cast.patient, channel="email")[0]
    _change(Delivery, held.id, status="sending", lease_token=uuid.uuid4(), lease_ends_at=now + timedelta(minutes=2))
    answer = team.send("POST", f"reminders/{sent.id}/cancel", WHY)
    assert (answer.status_code, answer.json()["code"]) == (409, "on_its_way")


def test_what_was_sent_goes_out_once_more_and_a_repetition_changes_nothing(cast, now, sent, post):
    team = cast.client(cast.therapist)
    first = team.send("POST", f"reminders/{sent.id}/resend", WHY)
    again = team.send("POST", f"reminders/{sent.id}/resend", WHY)
    assert (first.status_code, first.json()["status"]) == (200, "due")
    assert [each["status"] for each in first.json()["deliveries"] if each["channel"] == "email"] == ["sent", "pending"]
    assert (again.status_code, again.json()) == (200, first.json())
    other = team.send("POST", f"reminders/{sent.id}/resend", {**WHY, "channel": "sms"})
    assert (other.status_code, other.json()["code"]) == (409, "on_its_way")
    dispatch.deliver(now=clock.now())
    assert len(post.mails) == 2
    assert statuses(cast.patient) == [("email", "sent"), ("email", "sent")]
    assert [row.status for row in ledger(cast.patient)] == ["sent", "planned"]
    told = [event for event in events(person_id=cast.therapist.id) if event.action == "update"]
    assert [(event.object_type, event.reason) for event in told] == [("reminders/resend", WHY["reason"])]


def test_what_is_in_doubt_is_found_sent_again_or_let_be(cast, now, post):
    row, team = _in_doubt(cast, now, post), cast.client(cast.therapist)
    assert (row.status, row.reason) == ("sent", "unconfirmed")
    found = team.send("GET", "reminders?delivery_status=unknown").json()["results"]
    assert [each["id"] for each in found] == [str(row.id)]
    assert team.send("GET", "reminders?delivery_status=unknown&channel=sms").json()["results"] == []
    assert cast.client(cast.outsider).send("GET", "reminders?delivery_status=unknown").json()["results"] == []
    assert cast.client(cast.nurse).send("GET", "reminders?delivery_status=unknown").json()["results"] == []
    for _ in range(2):
        answer = team.send("POST", f"reminders/{row.id}/let-be", WHY)
        assert (answer.status_code, answer.json()["status"], answer.json()["reason"]) == (200, "sent", None)
    assert team.send("POST", f"reminders/{row.id}/resend", WHY).status_code == 200
    dispatch.deliver(now=clock.now())
    assert len(post.mails) == 1
    answer = team.send("POST", f"reminders/{ledger(cast.patient)[1].id}/let-be", WHY)
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_in_doubt")


def test_an_expired_one_gets_a_new_window(cast, now, post):
    _check_in(cast, now)
    with access.maintaining("test"):
        Reminder.objects.filter(person=cast.patient).update(
            due_at=now - timedelta(hours=4), send_at=now - timedelta(hours=4), expires_at=now - timedelta(hours=1)
        )
    claiming.claim(now=now)
    row = ledger(cast.patient)[0]
    assert row.status == "expired"
    answer = cast.client(cast.therapist).send("POST", f"reminders/{row.id}/resend", WHY)
    assert (answer.status_code, answer.json()["status"]) == (200, "due")
    assert ledger(cast.patient)[0].expires_at > now + timedelta(minutes=140)
    dispatch.deliver(now=clock.now())
    assert len(post.mails) == 1


def test_one_that_failed_tries_as_often_as_the_first_time(cast, now, sent, post):
    post.answer = "550 No such mailbox"
    team = cast.client(cast.therapist)
    team.send("POST", f"reminders/{sent.id}/resend", WHY)
    dispatch.deliver(now=clock.now())
    assert statuses(cast.patient)[-1] == ("email", "failed")
    post.answer = "451 Try later"
    assert team.send("POST", f"reminders/{sent.id}/resend", WHY).status_code == 200
    dispatch.deliver(now=clock.now())
    assert statuses(cast.patient)[-2:] == [("email", "failed"), ("email", "pending")]
    assert ledger(cast.patient)[0].status == "due"


def test_what_fails_again_falls_back_to_a_channel_that_was_used_before(cast, now, sent, post, gateway):
    has_number(cast.patient, "sms", "email")
    _change(Rule, sent.rule_id, channels=["sms", "email"])
    gateway.reply = refused(21610)
    answer = cast.client(cast.therapist).send("POST", f"reminders/{sent.id}/resend", {**WHY, "channel": "sms"})
    assert answer.status_code == 200, answer.content
    dispatch.deliver(now=clock.now())
    dispatch.deliver(now=clock.now())
    assert statuses(cast.patient)[1:] == [("sms", "failed"), ("email", "sent")]
    assert len(post.mails) == 2
    assert ledger(cast.patient)[0].status == "sent"


def test_one_in_doubt_that_fails_when_it_is_sent_again_is_still_in_doubt(cast, now, post):
    row = _in_doubt(cast, now, post)
    post.answer = "550 No such mailbox"
    cast.client(cast.therapist).send("POST", f"reminders/{row.id}/resend", WHY)
    dispatch.deliver(now=clock.now())
    row = ledger(cast.patient)[0]
    assert (row.status, row.reason) == ("sent", "unconfirmed")


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ({"status": "acknowledged"}, "already_ended"),
        ({"status": "done", "reason": "already_logged"}, "already_ended"),
        ({"status": "skipped", "reason": "opted_out"}, "already_ended"),
        ({"status": "planned"}, "not_sent_yet"),
        ({"status": "snoozed"}, "put_off"),
        ({"reminder_class": "safety"}, "safety"),
    ],
)
def test_what_was_answered_is_put_off_or_about_safety_is_not_sent_again(cast, sent, post, state, code):
    _change(Reminder, sent.id, **state)
    answer = cast.client(cast.therapist).send("POST", f"reminders/{sent.id}/resend", WHY)
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert len(post.mails) == 1


def test_the_refusal_says_whether_a_channel_or_the_consent_is_missing(cast, sent):
    team, path = cast.client(cast.therapist), f"reminders/{sent.id}/resend"
    assert team.send("POST", path, {**WHY, "channel": "sms"}).json()["code"] == "no_channel"
    assert cast.client(cast.patient).send("POST", "consents/messages_email/withdraw", {}).status_code == 200
    for body in (WHY, {**WHY, "channel": "email"}):
        answer = team.send("POST", path, body)
        assert (answer.status_code, answer.json()["code"]) == (409, "no_consent")
    _change(Person, cast.patient.id, channels=[])
    assert team.send("POST", path, WHY).json()["code"] == "no_channel"
    with access.maintaining("test"):
        assert ConsentRecord.objects.filter(patient=cast.patient, act="withdrawn").count() == 1


def test_switched_off_in_a_session_or_overtaken_it_is_not_sent_again(cast, now, sent):
    team, path = cast.client(cast.therapist), f"reminders/{sent.id}/resend"

    def refused(**rule):
        with access.maintaining("test"):
            before = Rule.objects.filter(id=sent.rule_id).values(*rule).get()
        _change(Rule, sent.rule_id, **rule)
        answer = team.send("POST", path, WHY)
        _change(Rule, sent.rule_id, **before)
        return answer.status_code, answer.json()["code"]

    assert refused(muted_at=now) == (409, "opted_out")
    hour = timedelta(hours=1)
    assert refused(paused_from_at=now - hour, paused_until_at=now + hour) == (409, "in_session")
    assert refused(ended_at=now) == (409, "ended")
    following = ledger(cast.patient)[1]
    _change(Reminder, following.id, status="sent", due_at=now)
    assert team.send("POST", path, WHY).json()["code"] == "too_late"


def test_nobody_is_reminded_again_of_a_visit_that_was_moved_or_has_begun(cast, now, post):
    about, team = ("occurrence", uuid.uuid4()), cast.client(cast.therapist)
    at = now + timedelta(hours=23, minutes=59)
    appointment(cast.patient, at, now=now - timedelta(minutes=5), about=about, clinic=cast.clinic.id)
    claiming.claim(now=now)
    dispatch.deliver(now=now)
    row = ledger(cast.patient)[0]
    assert row.status == "sent"
    assert team.send("POST", f"reminders/{row.id}/resend", WHY).status_code == 200
    dispatch.deliver(now=clock.now())
    appointment(cast.patient, at + timedelta(days=3), now=now, about=about, clinic=cast.clinic.id)
    assert team.send("POST", f"reminders/{row.id}/resend", WHY).json()["code"] == "moved"
    appointment(cast.patient, at, now=now, about=about, clinic=cast.clinic.id)
    _change(Rule, row.rule_id, anchor_at=now - timedelta(minutes=1), offsets=[{"minutes": 1440}])
    _change(Reminder, row.id, due_at=now - timedelta(minutes=1441))
    assert team.send("POST", f"reminders/{row.id}/resend", WHY).json()["code"] == "too_late"


def test_quiet_hours_hold_for_what_is_sent_again_too(cast, now, sent, post):
    local = (now + timedelta(hours=5, minutes=30)).replace(tzinfo=None)
    ends = (local + timedelta(hours=2)).replace(second=0)
    quiet = {"quiet_from": (local - timedelta(hours=1)).time(), "quiet_until": ends.time()}
    _change(Rule, sent.rule_id, **quiet)
    assert isinstance(quiet["quiet_until"], time)
    answer = cast.client(cast.therapist).send("POST", f"reminders/{sent.id}/resend", WHY)
    assert answer.status_code == 200, answer.content
    dispatch.deliver(now=now + timedelta(minutes=10))
    assert len(post.mails) == 1
    end_at = now.replace(second=0) + timedelta(hours=2)
    assert ledger(cast.patient)[0].send_at == end_at
    dispatch.deliver(now=end_at + timedelta(seconds=1))
    assert len(post.mails) == 2


def test_only_the_care_team_may_and_strangers_find_nothing(cast, sent):
    with access.maintaining("test"):
        caregiver = people.create(email="c@example.org", full_name="C", time_zone="Asia/Kolkata", now=JOINED)
        people.join(person=caregiver, clinic=cast.clinic, role=Role.CAREGIVER, now=JOINED)
    for verb in ("cancel", "resend", "let-be"):
        for who, status in (
            (cast.patient, 403), (cast.administrator, 403), (caregiver, 403), (cast.nurse, 404), (cast.outsider, 404),
        ):  # fmt: skip
            answer = cast.client(who).send("POST", f"reminders/{sent.id}/{verb}", WHY)
            assert answer.status_code == status, (verb, who.full_name, answer.content)
        for body in ({}, {"reason": " "}, {"reason": "  \t "}, {"reason": "x" * 501}, {"reason": "ab\x00cd"}):
            assert cast.client(cast.therapist).send("POST", f"reminders/{sent.id}/{verb}", body).status_code == 400
    own = cast.client(cast.therapist)
    with door(cast.therapist):
        planning.set_rule(
            person=cast.therapist, purpose=Purpose.OWN, rrule="FREQ=DAILY", start=clock.now().replace(
                tzinfo=None, microsecond=0), clinic_id=cast.clinic.id, now=clock.now(),
        )  # fmt: skip
    mine = ledger(cast.therapist)[0]
    assert own.send("POST", f"reminders/{mine.id}/cancel", WHY).status_code == 404


def test_a_record_opened_in_an_emergency_is_acted_on_and_listed_by_name_only(cast, now):
    with door(cast.unassigned_patient):
        clinic = cast.clinic.id
        start = (now + timedelta(hours=6)).replace(tzinfo=None)
        planning.set_rule(
            person=cast.unassigned_patient, purpose="own", rrule="FREQ=DAILY", start=start, clinic_id=clinic, now=now
        )
    row, team = ledger(cast.unassigned_patient)[0], cast.client(cast.psychiatrist)
    assert team.send("POST", f"reminders/{row.id}/cancel", WHY).status_code in {403, 404}
    opened = f"patients/{cast.unassigned_patient.id}/break-glass"
    assert team.send("POST", opened, {"reason": "Found unconscious at home"}).status_code == 201
    assert team.send("GET", "reminders").json()["results"] == []
    named = team.send("GET", f"reminders?patient={cast.unassigned_patient.id}").json()["results"]
    assert [each["id"] for each in named] == [str(row.id)]
    assert team.send("POST", f"reminders/{row.id}/cancel", WHY).status_code == 200
