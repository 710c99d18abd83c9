"""Text messages leave through a gateway in its real wire format, to confirmed numbers only, in plain short words."""

from typing import Any

import pytest
import requests

from backend.reminders import claiming, dispatch
from backend.reminders.channels import sms
from backend.reminders.channels.lines import Lines
from backend.reminders.channels.sms import Sms
from backend.reminders.models import BlockedAddress
from tests.live import free_port
from tests.reminders.engine import DUE, NOON, appointment, check_in_rule, deliveries, door, later, ledger, statuses
from tests.reminders.receivers import Reply

NUMBER = "+919820000000"


def has_number(person: Any, *channels: str, confirmed: bool = True) -> None:
    with door(person):
        person.channels, person.phone = list(channels or ("sms",)), NUMBER
        person.phone_confirmed_at = NOON if confirmed else None
        person.save(update_fields=["channels", "phone", "phone_confirmed_at"])


def claimed(person: Any, *channels: str, confirmed: bool = True) -> None:
    has_number(person, *channels, confirmed=confirmed)
    check_in_rule(person)
    claiming.claim(now=DUE)


def texts(person: Any) -> list[tuple[int, str, str]]:
    return [(each.attempt, each.status, each.error) for each in deliveries(person, channel="sms")]


def refused(code: int, status: int = 400) -> Reply:
    return Reply(status, {"code": code, "message": "of a test", "status": status})


def test_a_reminder_comes_as_a_text_that_says_when_and_from_whom(cast, gateway):
    has_number(cast.patient)
    appointment(cast.patient, later(hours=2), clinic=cast.clinic.id)
    check_in_rule(cast.patient)
    claiming.claim(now=DUE)
    assert dispatch.deliver(now=DUE) == 2
    assert sorted(text["Body"] for text in gateway.texts) == [
        "A reminder: 21:00, Sea Face",
        "Appointment: Tue 24 Nov, 23:00, Sea Face",
    ]
    assert {(text["To"], text["From"]) for text in gateway.texts} == {(NUMBER, "+15005550006")}
    assert ("sms", "sent") in statuses(cast.patient)


def test_a_messaging_service_sends_where_one_is_named(cast, gateway, settings):
    settings.SMS_FROM = "MG0123"
    claimed(cast.patient)
    dispatch.deliver(now=DUE)
    assert gateway.texts[0]["MessagingServiceSid"] == "MG0123"


def test_a_number_that_nobody_confirmed_gets_nothing_and_the_next_channel_follows(cast, gateway, post):
    claimed(cast.patient, "sms", "email", confirmed=False)
    dispatch.deliver(now=DUE)
    assert (gateway.texts, len(post.mails)) == ([], 1)


@pytest.mark.parametrize("code", [21211, 21610, 21614])
def test_a_number_that_is_none_or_whose_owner_said_stop_gets_nothing_more(cast, gateway, post, code):
    gateway.reply = refused(code)
    claimed(cast.patient, "sms", "email")
    dispatch.deliver(now=DUE)
    assert texts(cast.patient) == [(1, "failed", f"SMS 400 {code}")]
    assert len(post.mails) == 1
    with door(cast.patient):
        (blocked,) = BlockedAddress.objects.filter(person=cast.patient)
    assert NUMBER not in str(vars(blocked))
    gateway.reply = None
    dispatch.tick(now=later(days=1))
    dispatch.deliver(now=later(days=1))
    assert gateway.texts == []


def test_another_refusal_stops_this_text_only(cast, gateway):
    gateway.reply = refused(30007)
    claimed(cast.patient)
    dispatch.deliver(now=DUE)
    with door(cast.patient):
        assert not BlockedAddress.objects.exists()
    assert ledger(cast.patient, due_at=DUE)[0].status == "failed"


def test_a_busy_gateway_is_asked_again_when_it_says(cast, gateway):
    gateway.reply = Reply(429, {"code": 20429, "status": 429}, {"Retry-After": "300"})
    claimed(cast.patient)
    dispatch.deliver(now=DUE)
    waiting = deliveries(cast.patient, channel="sms", status="pending")[0]
    assert waiting.try_at >= later(seconds=300)
    gateway.reply = None
    assert dispatch.deliver(now=later(seconds=310)) == 1


@pytest.mark.parametrize("reply", [refused(20003, 401), None])
def test_our_own_account_or_an_absent_gateway_costs_the_person_no_attempt(cast, gateway, settings, reply):
    gateway.reply = reply
    if reply is None:
        settings.SMS_URL = f"http://127.0.0.1:{free_port()}/Messages.json"
    claimed(cast.patient)
    assert dispatch.deliver(now=DUE) == 0
    assert texts(cast.patient)[0][:2] == (1, "pending")


class Cut(requests.Session):
    """The connection ends after the message was handed over."""

    def post(self, *args: Any, **more: Any) -> Any:
        raise requests.ReadTimeout


def test_a_text_whose_answer_was_lost_is_in_doubt_and_not_sent_again(cast, gateway, monkeypatch):
    monkeypatch.setattr(sms, "_GATEWAY", Lines(Cut))
    claimed(cast.patient)
    dispatch.deliver(now=DUE)
    assert texts(cast.patient) == [(1, "unknown", "ReadTimeout")]
    assert ledger(cast.patient, due_at=DUE)[0].reason == "unconfirmed"


def test_only_a_gateway_that_knows_a_repetition_honours_the_key(cast, gateway, settings):
    assert (Sms().honours_key, Sms().at_once) == (False, 1)
    settings.SMS_IDEMPOTENCY_HEADER = "Idempotency-Key"
    assert (Sms().honours_key, Sms().at_once) == (True, 20)
    claimed(cast.patient)
    dispatch.deliver(now=DUE)
    assert gateway.headers[0]["Idempotency-Key"] == str(deliveries(cast.patient, channel="sms")[0].id)


def test_a_text_is_one_message_in_the_phones_own_letters():
    assert sms.plain("Café Ångström \u2013 Brno, Ústí\u2019s") == "Café Ångström - Brno, Usti's"
    said = sms.plain("आरोग्य क्लिनिक " * 40)
    assert len(said) <= 160
    assert set(said) <= sms._BASIC
