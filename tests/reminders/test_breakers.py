"""A provider that fails again and again is left alone; its reminders wait or take the next channel; safety tries on."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from backend.reminders import channels, claiming, dispatch, planning
from backend.reminders.channels.base import Unreachable
from backend.reminders.channels.breakers import FAILURES, FIRST_PAUSE, LONGEST_PAUSE, Breaker
from backend.reminders.models import Purpose
from tests.live import free_port
from tests.reminders.engine import DUE, NOON, appointment, check_in_rule, deliveries, door, later, ledger

EMAIL = channels.OUTWARD["email"]


def waits(person: Any) -> list[tuple[str, str, str]]:
    return [(each.channel, each.status, each.error) for each in deliveries(person) if each.channel != "inbox"]


def mail_is_away(settings: Any) -> None:
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()


def test_a_breaker_opens_lets_one_try_and_waits_longer_each_time():
    breaker, now = Breaker("test"), DUE
    for _ in range(FAILURES - 1):
        breaker.failed(now)
        assert breaker.wait(now) is None
    breaker.failed(now)
    assert breaker.wait(now) == FIRST_PAUSE
    pauses = []
    for _ in range(6):
        now += breaker.wait(now)
        assert breaker.wait(now) is None, "one tries"
        assert breaker.wait(now) is not None, "and the others wait for what becomes of it"
        breaker.failed(now)
        pauses.append(breaker.wait(now))
    assert pauses[0] == 2 * FIRST_PAUSE
    assert pauses[-1] == LONGEST_PAUSE
    breaker.worked()
    assert breaker.wait(now) is None


def test_those_that_were_on_their_way_when_it_opened_do_not_make_it_wait_longer():
    breaker = Breaker("test")
    for _ in range(4 * FAILURES):
        breaker.failed(DUE)
    assert breaker.wait(DUE) == FIRST_PAUSE


def test_a_mail_server_that_is_away_is_left_alone_and_safety_still_knocks(settings):
    mail_is_away(settings)
    for _ in range(FAILURES):
        with pytest.raises(Unreachable) as error, channels.opened(EMAIL, now=DUE, urgent=False):
            pass
        assert error.value.wait is None
    with pytest.raises(Unreachable, match="left alone") as error, channels.opened(EMAIL, now=DUE, urgent=False):
        pass
    assert error.value.wait == FIRST_PAUSE
    with pytest.raises(Unreachable) as error, channels.opened(EMAIL, now=DUE, urgent=True):
        pass
    assert error.value.wait is None


def test_mail_waits_for_its_server_and_no_longer_than_the_breaker(cast, post, settings):
    there = settings.EMAIL_PORT
    mail_is_away(settings)
    check_in_rule(cast.patient)
    claiming.claim(now=DUE)
    now = DUE
    for _ in range(8):
        dispatch.deliver(now=now)
        (waiting,) = deliveries(cast.patient, channel="email")
        assert (waiting.status, waiting.attempt) == ("pending", 1)
        assert timedelta(seconds=25) <= waiting.try_at - now <= LONGEST_PAUSE + timedelta(seconds=5)
        now = waiting.try_at
    settings.EMAIL_PORT = there
    dispatch.deliver(now=now + LONGEST_PAUSE + timedelta(seconds=5))
    assert len(post.mails) == 1


def reached_by_text(person: Any) -> None:
    with door(person):
        person.channels, person.phone, person.phone_confirmed_at = ["email", "sms"], "+919820000000", NOON
        person.save(update_fields=["channels", "phone", "phone_confirmed_at"])


def test_what_is_about_to_make_no_sense_leaves_by_the_next_channel(cast, gateway, settings):
    mail_is_away(settings)
    reached_by_text(cast.patient)
    appointment(cast.patient, later(hours=2), clinic=cast.clinic.id)
    claiming.claim(now=DUE)
    dispatch.deliver(now=DUE)
    assert [each[:2] for each in waits(cast.patient)] == [("email", "pending")], "two hours are left"
    dispatch.deliver(now=later(minutes=9))
    assert gateway.texts == []
    dispatch.deliver(now=later(minutes=11))
    dispatch.deliver(now=later(minutes=11, seconds=1))
    assert [each[:2] for each in waits(cast.patient)] == [("email", "failed"), ("sms", "sent")]
    assert len(gateway.texts) == 1
    assert ledger(cast.patient, due_at=DUE)[0].status == "sent"


def test_a_short_window_waits_for_nobody(cast, gateway, settings):
    mail_is_away(settings)
    reached_by_text(cast.patient)
    with door(cast.patient):
        planning.set_anchor(
            person=cast.patient, purpose=Purpose.APPOINTMENT, about=("occurrence", uuid.uuid4()),
            anchor_at=later(minutes=12), offsets=[{"minutes": 12}], clinic_id=cast.clinic.id, now=NOON,
        )  # fmt: skip
    claiming.claim(now=DUE)
    dispatch.deliver(now=DUE)
    dispatch.deliver(now=later(seconds=1))
    assert len(gateway.texts) == 1


def test_without_a_next_channel_it_waits(cast, settings):
    mail_is_away(settings)
    check_in_rule(cast.patient)
    claiming.claim(now=DUE)
    for minutes in (0, 11, 140):
        dispatch.deliver(now=later(minutes=minutes))
    assert [each[:2] for each in waits(cast.patient)] == [("email", "pending")]
