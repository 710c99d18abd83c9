"""Whoever wants no more mails of a kind gets none, by one press in the mailbox or on a page, and may come back."""

import re
from datetime import timedelta

import time_machine
from django.conf import settings
from django.test import Client as Browser

from backend.accounts.models import Person
from backend.reminders import claiming
from backend.reminders.models import Purpose
from tests.reminders.engine import DUE, appointment, deliveries, door
from tests.reminders.mailbox import OPENED, channels, choices, contents, links_in, words


def test_a_mail_provider_unsubscribes_by_one_post_without_cookies_or_redirect(cast, mail):
    """RFC 8058, 3.1 and 3.2, as a form and as multipart."""
    address = mail["List-Unsubscribe"].strip("<>")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    path = address.removeprefix(settings.BASE_URL)
    assert path == links_in(mail)["stop"]
    with time_machine.travel(OPENED, tick=False):
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
            part = '--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n'
            body = part if kind.startswith("multipart") else "List-Unsubscribe=One-Click"
            provider = Browser(enforce_csrf_checks=True)
            assert provider.post(path, body, content_type=kind).status_code == 200
            assert not provider.cookies
            assert choices(cast.patient) == {"check_in": {"channels": []}}
            before = contents()
        assert contents() == before
    assert channels(cast.patient) == []
    claiming.claim(now=DUE + timedelta(days=1))
    assert len(deliveries(cast.patient, channel="email")) == 1


def test_unsubscribing_leaves_other_mails_and_other_channels_as_they_were(cast, mail, browser):
    appointment(cast.patient, DUE + timedelta(days=3), clinic=cast.clinic.id)
    with door(cast.patient):
        Person.objects.filter(id=cast.patient.id).update(
            reminder_choices={"check_in": {"nudge": False}, "own": {"channels": ["email"]}}
        )
    with time_machine.travel(OPENED, tick=False):
        said = words(browser.post(links_in(mail)["stop"], {"do": "this"}))
    assert "No more mails like this one" in said
    assert "Outside the app nothing reminds you of them" in said
    assert choices(cast.patient) == {"own": {"channels": ["email"]}, "check_in": {"nudge": False, "channels": []}}
    assert channels(cast.patient, Purpose.APPOINTMENT) == ["email"]


def test_no_more_mails_at_all_spares_nothing_but_alerts_and_can_be_undone(cast, mail, browser):
    path = links_in(mail)["stop"]
    with time_machine.travel(OPENED, tick=False):
        page = browser.post(path, {"do": "every"})
        assert "Outside the app nothing reminds you of them" in words(page)
        assert set(choices(cast.patient)) == set(Purpose) - {Purpose.ALERT}
        of = re.search(r'name="of" value="([^"]+)"', page.content.decode())[1]
        assert "You get these mails again" in words(browser.post(path, {"do": "undo", "of": of}))
        assert choices(cast.patient) == {}
        assert channels(cast.patient) == ["email"]


def test_who_left_long_ago_is_told_so_and_may_come_back(cast, mail, browser):
    path = links_in(mail)["stop"]
    with time_machine.travel(OPENED, tick=False):
        browser.post(path, {"do": "this"})
    with time_machine.travel(OPENED + timedelta(days=30), tick=False):
        assert "Send them again" in words(browser.get(path))
        browser.post(path, {"do": "undo", "of": "alert nonsense check_in"})
    assert choices(cast.patient) == {}


def test_who_is_reached_by_push_too_is_reached_by_push_alone_and_by_both_again_in_the_old_order(cast, mail, browser):
    with door(cast.patient):
        Person.objects.filter(id=cast.patient.id).update(channels=["push", "email", "sms"])
    path = links_in(mail)["stop"]
    with time_machine.travel(OPENED, tick=False):
        assert "Outside the app nothing reminds you" not in words(browser.post(path, {"do": "this"}))
        assert choices(cast.patient) == {"check_in": {"channels": ["push", "sms"]}}
        assert channels(cast.patient) == ["push", "sms"]
        browser.post(path, {"do": "undo", "of": "check_in"})
    assert choices(cast.patient) == {}
    assert channels(cast.patient) == ["push", "email", "sms"]
