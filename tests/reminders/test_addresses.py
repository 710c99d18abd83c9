"""An address that takes nothing any more is let go, its person is told elsewhere, once, and the app sees what works."""

import uuid
from typing import Any

import pytest
from django.db import connections

from backend.accounts import access
from backend.accounts.models import Device
from backend.reminders import claiming, dispatch
from backend.reminders.models import BlockedAddress, Rule
from tests.reminders.engine import DUE, NOON, check_in_rule, door, later, ledger, statuses
from tests.reminders.receivers import Reply


def has_phone(person: Any, push: dict[str, Any], *channels: str) -> Device:
    with door(person):
        person.channels = list(channels)
        person.save(update_fields=["channels"])
        return Device.objects.create(person=person, platform="web", push=push, seen_at=NOON)


def round_at(now: Any) -> None:
    """What tick and worker do."""
    dispatch.tick(now=now)
    dispatch.deliver(now=now)


def states_of(cast: Any) -> dict[str, str]:
    told = cast.client(cast.patient).send("GET", "me").json()["channel_states"]
    return {each["channel"]: each["state"] for each in told}


def test_phone_lost_the_person_is_told_by_mail_once_and_a_new_phone_works(cast, push_service, post):
    browser = push_service.subscribe()
    has_phone(cast.patient, browser.push, "push", "email")
    push_service.replies[browser.path] = Reply(410)
    check_in_rule(cast.patient)
    round_at(DUE)
    round_at(later(seconds=5))
    told = ledger(cast.patient, purpose="address")
    assert [row.status for row in told] == ["sent"]
    assert len(post.mails) == 2, "the reminder itself, and a word about the phone"
    with door(cast.patient):
        assert Rule.objects.get(purpose="address").about_id == BlockedAddress.objects.get().id
    assert states_of(cast)["push"] == "blocked"
    round_at(later(days=1))
    assert len(ledger(cast.patient, purpose="address")) == 1, "once"
    new = push_service.subscribe()
    mine = cast.client(cast.patient)
    body = {"platform": "web", "push": new.push}
    assert mine.send("PUT", f"me/devices/{uuid.uuid4()}", body).status_code == 201
    assert states_of(cast)["push"] == "ok"
    round_at(later(days=2))
    assert len(push_service.taken) == 1


def test_a_subscription_that_was_renewed_meanwhile_is_kept(cast, push_service, post):
    old, new = push_service.subscribe(), push_service.subscribe()
    device = has_phone(cast.patient, old.push, "push", "email")

    def renew(*_: Any) -> Reply:
        with access.maintaining("test"):
            Device.objects.filter(id=device.id).update(push=new.push)
        connections.close_all()
        return Reply(410)

    push_service.take = renew
    check_in_rule(cast.patient)
    round_at(DUE)
    with access.maintaining("test"):
        assert Device.objects.get(id=device.id).push == new.push
    assert ledger(cast.patient, purpose="address") == []


def test_nothing_of_a_dead_address_is_kept_but_a_fingerprint(cast, push_service):
    browser = push_service.subscribe()
    has_phone(cast.patient, browser.push, "push")
    push_service.replies[browser.path] = Reply(404)
    check_in_rule(cast.patient)
    round_at(DUE)
    with door(cast.patient):
        (row,) = BlockedAddress.objects.all()
    assert (row.channel, row.why, len(row.fingerprint)) == ("push", "web push 404", 64)
    for stranger in (cast.outsider, cast.nurse, cast.other_patient):
        with access.acting_as(stranger.id, cast.elsewhere.id, "test"):
            assert not BlockedAddress.objects.exists()


def test_the_app_sees_which_channels_work(cast, push_service, settings):
    settings.SMS_URL = ""
    assert states_of(cast) == {"push": "missing", "email": "ok", "sms": "missing"}
    mine = cast.client(cast.patient)
    assert mine.send("POST", "consents/messages_email/withdraw").status_code == 200
    assert states_of(cast)["email"] == "no_consent"
    has_phone(cast.patient, push_service.subscribe().push, "push")
    assert states_of(cast)["push"] == "ok"


def test_the_profile_takes_the_three_channels_and_no_other(cast):
    mine = cast.client(cast.patient)
    chosen = ["push", "email", "sms"]
    assert mine.send("PATCH", "me", {"channels": chosen}).json()["channels"] == chosen
    refused = mine.send("PATCH", "me", {"channels": ["pigeon"]})
    assert refused.status_code == 400


def test_without_the_agreement_nothing_is_pushed(cast, push_service, post):
    has_phone(cast.patient, push_service.subscribe().push, "push", "email")
    check_in_rule(cast.patient)
    claiming.claim(now=DUE)
    assert cast.client(cast.patient).send("POST", "consents/messages_push/withdraw").status_code == 200
    dispatch.deliver(now=DUE)
    assert push_service.asked == 0
    assert ("push", "failed") in statuses(cast.patient)
    assert ("email", "sent") in statuses(cast.patient)


def test_a_notifications_own_action_acknowledges_from_its_device_alone(cast, push_service):
    device = has_phone(cast.patient, push_service.subscribe().push, "push")
    check_in_rule(cast.patient)
    round_at(DUE)
    token = push_service.taken[0].payload["token"]
    anyone = cast.client()
    for _ in range(2):
        shown = anyone.send("POST", "notification-answers", {"token": token, "what": "shown"})
        assert (shown.status_code, shown.json()["status"]) == (200, "sent"), "that it was shown answers nothing"
        assert statuses(cast.patient) == [("push", "delivered")]
    done = anyone.send("POST", "notification-answers", {"token": token})
    assert statuses(cast.patient) == [("push", "opened")]
    assert anyone.send("POST", "notification-answers", {"token": token, "what": "shown"}).status_code == 200
    assert statuses(cast.patient) == [("push", "opened")]
    refused = anyone.send("POST", "notification-answers", {"token": token, "what": "burnt"})
    assert refused.status_code == 400
    assert "one of seen, shown" in refused.json()["errors"][0]["detail"]
    assert (done.status_code, done.json()["status"]) == (200, "acknowledged")
    assert anyone.send("POST", "notification-answers", {"token": token}).json() == done.json()
    for wrong in (token[:-2] + "xx", "x", token.swapcase(), ""):
        assert anyone.send("POST", "notification-answers", {"token": wrong}).status_code in {400, 404}
    with door(cast.patient):
        Device.objects.filter(id=device.id).update(push=None)
    assert anyone.send("POST", "notification-answers", {"token": token}).status_code == 404


@pytest.mark.parametrize(
    ("answer", "is_dead"),
    [
        ("550 5.1.1 no such mailbox", True),
        ("550 no such mailbox", True),
        ("553 5.1.3 bad address", True),
        ("550 5.2.1 mailbox disabled", True),
        ("550 5.7.1 looks like spam", False),
        ("552 5.2.2 mailbox full", False),
        ("450 4.2.1 come again", False),
    ],
)
def test_a_mailbox_that_is_none_gets_no_more_mails_and_a_filters_word_is_another_matter(cast, post, answer, is_dead):
    post.recipient_answer = answer
    check_in_rule(cast.patient)
    round_at(DUE)
    told = cast.client(cast.patient).send("GET", "me").json()["channel_states"]
    mail = next(each for each in told if each["channel"] == "email")
    assert mail["state"] == ("blocked" if is_dead else "ok")
    assert bool(mail["since"]) == is_dead
    assert bool(ledger(cast.patient, purpose="address")) == is_dead
    post.recipient_answer = "250 OK"
    round_at(later(days=1))
    assert len(post.mails) == (0 if is_dead else 1)


def test_a_changed_mailbox_works_again(cast, post):
    post.recipient_answer = "550 5.1.1 no such mailbox"
    check_in_rule(cast.patient)
    round_at(DUE)
    post.recipient_answer = "250 OK"
    with door(cast.patient):
        cast.patient.email = "new@example.org"
        cast.patient.save(update_fields=["email"])
    round_at(later(days=1))
    assert {mail["To"] for mail in post.mails} == {"new@example.org"}
