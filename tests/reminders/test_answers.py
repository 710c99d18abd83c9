"""What a patient answers to a reminder, over the API: seen, later, or why."""

import uuid
from datetime import timedelta, timezone

import pytest

from backend.common import clock
from backend.reminders import claiming, dispatch, planning
from backend.reminders.models import Purpose, Reminder
from tests.reminders.engine import appointment, check_in_rule, door, ledger


@pytest.fixture
def now():
    return clock.now().replace(microsecond=0)


@pytest.fixture
def sent(cast, now, post):
    """A check-in reminder that arrived a minute ago."""
    start = (now + timedelta(hours=5, minutes=29)).replace(tzinfo=None)  # a minute ago in Mumbai
    check_in_rule(cast.patient, now=now - timedelta(minutes=5), start=start)
    claiming.claim(now=now)
    dispatch.deliver(now=now)
    return ledger(cast.patient)[0]


def test_a_reminder_has_the_promised_shape(cast, sent):
    body = cast.client(cast.patient).send("GET", f"reminders/{sent.id}").json()
    assert body["status"] == "sent"
    assert body["purpose"] == "check_in"
    assert body["about"] == {"type": "reminder_rule", "id": str(sent.rule_id)}
    assert body["reason"] is None
    assert body["due_at"] == body["send_at"]
    assert body["version"] == 2
    assert {(each["channel"], each["status"]) for each in body["deliveries"]} == {("inbox", "sent"), ("email", "sent")}
    assert all(each["at"] for each in body["deliveries"])


def test_acknowledging_twice_is_the_same_as_once(cast, sent):
    client = cast.client(cast.patient)
    first = client.send("POST", f"reminders/{sent.id}/acknowledge")
    again = client.send("POST", f"reminders/{sent.id}/acknowledge")
    assert (first.status_code, first.json()["status"]) == (200, "acknowledged")
    assert (again.status_code, again.json()) == (200, first.json())
    assert client.send("POST", f"reminders/{sent.id}/snooze", {"minutes": 30}).status_code == 409


def test_a_word_that_acknowledging_would_ignore_is_refused_by_its_name(cast, sent):
    refused = cast.client(cast.patient).send("POST", f"reminders/{sent.id}/acknowledge", {"minutes": 30})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/minutes")
    assert ledger(cast.patient)[0].status == "sent"
    assert cast.client(cast.patient).send("POST", f"reminders/{sent.id}/acknowledge", {}).status_code == 200


def test_snoozing_keeps_the_due_instant_and_brings_it_again(cast, sent, post):
    client = cast.client(cast.patient)
    body = client.send("POST", f"reminders/{sent.id}/snooze", {"minutes": 30}).json()
    assert body["status"] == "snoozed"
    assert body["due_at"] < body["send_at"]
    again_at = ledger(cast.patient)[0].send_at
    claiming.claim(now=again_at - timedelta(seconds=1))
    dispatch.deliver(now=again_at - timedelta(seconds=1))
    assert len(post.mails) == 1
    claiming.claim(now=again_at)
    dispatch.deliver(now=again_at)
    assert len(post.mails) == 2
    body = client.send("GET", f"reminders/{sent.id}").json()
    assert [each["channel"] for each in body["deliveries"]].count("email") == 2
    assert [row.status for row in ledger(cast.patient)] == ["sent", "planned"]


def test_until_done_means_quiet_until_it_is_done_or_makes_no_sense_any_more(cast, sent, now):
    client = cast.client(cast.patient)
    for _ in range(2):
        body = client.send("POST", f"reminders/{sent.id}/snooze", {"until_done": True}).json()
    assert (body["status"], body["send_at"], body["reason"]) == ("snoozed", None, "until_done")
    dispatch.tick(now=now + timedelta(hours=1))
    assert ledger(cast.patient)[0].status == "snoozed"
    dispatch.tick(now=now + timedelta(hours=3))
    assert ledger(cast.patient)[0].status == "expired"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"minutes": 5},
        {"minutes": 100_000},
        {"minutes": "30"},
        {"minutes": 30, "until_done": True},
        {"until_done": False},
        {"until": "2026-11-24T21:00:00"},
        {"until": "2150-01-01T00:00:00Z"},
        {"until": "2020-01-01T00:00:00Z"},
        {"hours": 1},
        [],
        None,
    ],
)
def test_a_snooze_that_makes_no_sense_is_refused_with_the_field(cast, sent, body):
    answer = cast.client(cast.patient).send("POST", f"reminders/{sent.id}/snooze", body)
    assert answer.status_code == 400
    assert answer.json()["errors"]
    assert ledger(cast.patient)[0].status == "sent"


def test_a_far_offset_is_an_instant_like_any_other(cast, sent, now):
    until = (now + timedelta(hours=1)).astimezone(timezone(timedelta(hours=20)))
    answer = cast.client(cast.patient).send("POST", f"reminders/{sent.id}/snooze", {"until": until.isoformat()})
    assert answer.status_code == 200
    assert ledger(cast.patient)[0].send_at == until


@pytest.mark.parametrize("body", [{"minutes": 10}, {"until_done": True}])
def test_a_reminder_that_is_days_away_is_not_brought_forward_by_a_snooze(cast, now, body):
    appointment(cast.patient, now + timedelta(days=10), now=now)
    planned = ledger(cast.patient)[0]
    answer = cast.client(cast.patient).send("POST", f"reminders/{planned.id}/snooze", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_due_yet")
    assert (ledger(cast.patient)[0].status, ledger(cast.patient)[0].send_at) == ("planned", planned.send_at)


def test_a_reminder_of_tonight_can_be_put_off_to_later_in_the_night(cast, now):
    check_in_rule(cast.patient, now=now, start=(now + timedelta(hours=6)).replace(tzinfo=None))
    planned = ledger(cast.patient)[0]
    client, path = cast.client(cast.patient), f"reminders/{planned.id}/snooze"
    assert client.send("POST", path, {"until": planned.due_at.isoformat()}).status_code == 409
    later_on = planned.due_at + timedelta(minutes=45)
    body = client.send("POST", path, {"until": later_on.isoformat()}).json()
    assert (body["status"], ledger(cast.patient)[0].send_at) == ("snoozed", later_on)


def test_each_sending_of_a_snoozed_reminder_has_its_own_attempts(cast, sent, now, post):
    client = cast.client(cast.patient)
    for _ in range(4):
        client.send("POST", f"reminders/{sent.id}/snooze", {"minutes": 10})
        again_at = ledger(cast.patient)[0].send_at
        claiming.claim(now=again_at)
        dispatch.deliver(now=again_at)
    client.send("POST", f"reminders/{sent.id}/snooze", {"minutes": 10})
    again_at = ledger(cast.patient)[0].send_at
    claiming.claim(now=again_at)
    post.answer = "451 come again"
    dispatch.deliver(now=again_at)
    assert ledger(cast.patient)[0].status == "due"
    post.answer = "250 OK"
    dispatch.deliver(now=again_at + timedelta(seconds=40))
    assert ledger(cast.patient)[0].status == "sent"
    assert len(post.mails) == 6


def test_what_a_patient_calls_an_own_reminder_is_for_no_one_elses_eyes(cast, now):
    with door(cast.patient):
        planning.set_rule(
            person=cast.patient, purpose=Purpose.OWN, rrule="FREQ=DAILY", title="Call the lawyer",
            start=now.replace(tzinfo=None), clinic_id=cast.clinic.id, now=now,
        )  # fmt: skip

    def told(person):
        (row,) = cast.client(person).send("GET", "reminders").json()["results"]
        assert cast.client(person).send("GET", f"reminders/{row['id']}").json() == row
        return row

    assert told(cast.patient)["title"] == "Call the lawyer"
    seen = told(cast.therapist)
    assert (seen["title"], seen["purpose"], seen["due_at"]) == (None, "own", told(cast.patient)["due_at"])


def test_an_announcement_is_not_put_off_past_what_it_announces(cast, now, post):
    appointment(cast.patient, now + timedelta(hours=2), now=now - timedelta(minutes=1))
    claiming.claim(now=now)
    dispatch.deliver(now=now)
    sent = ledger(cast.patient, status="sent")[0]
    client = cast.client(cast.patient)
    assert client.send("POST", f"reminders/{sent.id}/snooze", {"minutes": 180}).status_code == 400
    assert client.send("POST", f"reminders/{sent.id}/snooze", {"minutes": 60}).status_code == 200


def test_answering_in_advance_lets_the_series_go_on(cast, now):
    start = (now + timedelta(hours=6)).replace(tzinfo=None)
    check_in_rule(cast.patient, now=now, start=start)
    (planned,) = ledger(cast.patient)
    assert cast.client(cast.patient).send("POST", f"reminders/{planned.id}/acknowledge").status_code == 200
    assert [row.status for row in ledger(cast.patient)] == ["acknowledged", "planned"]


def test_a_stranger_finds_nothing_and_the_care_team_may_look_but_not_answer(cast, sent):
    for verb, path in (
        ("GET", f"reminders/{sent.id}"),
        ("GET", f"reminders/{sent.id}/explain"),
        ("GET", f"reminders?patient={cast.patient.id}"),
        ("POST", f"reminders/{sent.id}/acknowledge"),
    ):
        for stranger in (cast.outsider, cast.other_patient, cast.outside_patient, cast.nurse, cast.administrator):
            assert cast.client(stranger).send(verb, path).status_code == 404, (verb, path)
        assert cast.client().send(verb, path).status_code == 401
    doctor = cast.client(cast.psychiatrist)
    assert doctor.send("GET", f"reminders/{sent.id}").status_code == 200
    assert doctor.send("POST", f"reminders/{sent.id}/acknowledge").status_code == 404
    assert doctor.send("POST", f"reminders/{sent.id}/snooze", {"minutes": 30}).status_code == 404


def test_lists_show_the_own_ledger_and_to_clinicians_that_of_their_patients(cast, sent, now):
    def ids(person, query=""):
        return [row["id"] for row in cast.client(person).send("GET", f"reminders{query}").json()["results"]]

    assert len(ids(cast.patient)) == 2
    assert ids(cast.patient, "?status=sent") == [str(sent.id)]
    assert ids(cast.patient, "?status=sent&purpose=own") == []
    assert ids(cast.patient, f"?until={(now - timedelta(hours=1)).isoformat().replace('+00:00', 'Z')}") == []
    assert ids(cast.psychiatrist, f"?patient={cast.patient.id}&status=sent") == [str(sent.id)]
    assert ids(cast.other_patient) == ids(cast.outsider) == ids(cast.nurse) == []
    for query in ("?status=lost", "?since=yesterday", "?patient=me", "?limit=0", "?colour=red"):
        assert cast.client(cast.patient).send("GET", f"reminders{query}").status_code == 400


def test_a_patient_of_another_clinic_does_not_leak_into_a_clinicians_list(cast, now):
    with door(cast.outside_patient):
        planning.set_rule(
            person=cast.outside_patient, purpose=Purpose.OWN, rrule="FREQ=DAILY",
            start=now.replace(tzinfo=None), clinic_id=cast.elsewhere.id, now=now,
        )  # fmt: skip
    assert cast.client(cast.psychiatrist).send("GET", "reminders").json()["results"] == []
    assert len(cast.client(cast.outsider).send("GET", "reminders").json()["results"]) == 1


def test_the_story_is_told_in_plain_words(cast, sent, now):
    client = cast.client(cast.patient)
    text = client.send("GET", f"reminders/{sent.id}/explain").json()["text"]
    assert "day's check-in" in text
    assert "was sent by e-mail" in text
    with door(cast.patient):
        planning.settle(
            person_id=cast.patient.id, purpose=Purpose.CHECK_IN, from_at=now + timedelta(hours=1),
            until_at=now + timedelta(days=2), reason="already_logged", now=now,
        )  # fmt: skip
    planned = ledger(cast.patient, status="done")[0]
    assert "Not sent: it was already logged." in client.send("GET", f"reminders/{planned.id}/explain").json()["text"]


def test_every_status_and_reason_has_words(cast, sent):
    from backend.reminders import story
    from backend.reminders.models import Reason, Status

    with door(cast.patient):
        row = Reminder.objects.select_related("rule").get(id=sent.id)
        for status in Status.values:
            for reason in ["", *Reason.values]:
                row.status, row.reason = status, reason
                assert all(story.tell(reminder=row, rule=row.rule, deliveries=[]))


def test_an_unknown_reminder_is_404(cast):
    for path in ("", "/explain"):
        assert cast.client(cast.patient).send("GET", f"reminders/{uuid.uuid4()}{path}").status_code == 404
    assert cast.client(cast.patient).send("POST", f"reminders/{uuid.uuid4()}/acknowledge").status_code == 404
