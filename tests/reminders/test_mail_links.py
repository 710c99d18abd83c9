"""A link in a mail proves what it is for: opened it changes nothing, its button does, and nothing else opens by it."""

import re
import uuid
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.test import Client as Browser

from backend.accounts import access
from backend.accounts.models import Person
from backend.reminders import claiming, links, planning
from backend.reminders.links import Act
from backend.reminders.models import Delivery, Purpose, Reminder
from tests.accounts.trail import events
from tests.reminders.engine import DUE, NOON, appointment, check_in_rule, deliveries, door, later, ledger
from tests.reminders.mailbox import OPENED, choices, contents, links_in, sent, words


def test_a_mail_carries_three_links_and_nothing_personal_in_them(cast, mail):
    found = links_in(mail)
    assert set(found) == {"seen", "later", "stop"}
    for path in found.values():
        assert len(path) < 90
        for held in (cast.patient.id, cast.clinic.id):
            assert str(held) not in path
            assert held.hex not in path


@pytest.mark.parametrize("act", ["seen", "later", "stop"])
def test_opening_a_link_changes_no_row_however_and_however_often(mail, browser, act):
    path = links_in(mail)[act]
    with time_machine.travel(OPENED, tick=False):
        before = contents()
        for _ in range(2):
            assert browser.get(path).status_code == 200
            assert browser.head(path).status_code == 200
            assert browser.options(path).status_code == 200
            assert (
                browser.get(path, headers={"Sec-Purpose": "prefetch", "User-Agent": "mail scanner"}).status_code == 200
            )
        for verb in ("PUT", "PATCH", "DELETE"):
            assert browser.generic(verb, path).status_code == 405
        assert contents() == before
    assert not browser.cookies


def test_the_button_says_seen_once_and_for_all(cast, mail, browser):
    path = links_in(mail)["seen"]
    with time_machine.travel(OPENED, tick=False):
        assert "Did you see it?" in words(browser.get(path))
        assert "Noted" in words(browser.post(path))
        row = ledger(cast.patient)[0]
        assert (row.status, row.acknowledged_at) == ("acknowledged", OPENED)
        before = contents()
        assert browser.post(path).status_code == 200
        assert contents() == before
        assert "You saw it already" in words(browser.get(links_in(mail)["later"]))


@pytest.mark.parametrize(("act", "form"), [("seen", {}), ("later", {"until": "20261124T1635Z"})])
def test_whoever_used_the_link_has_the_mail_also_when_that_was_in_doubt(cast, mail, browser, act, form):
    with access.dispatching():
        Delivery.objects.using("dispatch").filter(channel="email").update(status="unknown", error="lease expired")
        Reminder.objects.using("dispatch").filter(status="sent").update(reason="unconfirmed")
    path = links_in(mail)[act]
    with time_machine.travel(OPENED, tick=False):
        browser.get(path)
        assert [each.status for each in deliveries(cast.patient, channel="email")] == ["unknown"], (
            "a scanner opens links"
        )
        assert browser.post(path, form).status_code == 200
    assert [each.status for each in deliveries(cast.patient, channel="email")] == ["opened"]
    row = ledger(cast.patient)[0]
    assert row.reason == ""
    told = cast.client(cast.patient).send("GET", f"reminders/{row.id}/explain").json()
    assert "It was opened by e-mail, 24 November 2026, 21:05." in told["text"]


def test_later_offers_nothing_after_the_next_of_its_series(cast, post, browser):
    check_in_rule(cast.patient, start=DUE.replace(tzinfo=None, hour=8, minute=0), rrule="FREQ=DAILY", now=NOON)
    morning = DUE.replace(hour=2, minute=30) + timedelta(days=1)  # 8:00 in Mumbai
    path = links_in(sent(post, morning))["later"]
    with time_machine.travel(morning + timedelta(minutes=5), tick=False):
        said = words(browser.get(path))
        assert "In an hour, at 09:05" in said
        assert "Tomorrow" not in said


def test_what_a_link_did_stands_in_the_trail_as_done_by_the_person(cast, mail, browser):
    with time_machine.travel(OPENED, tick=False):
        answer = browser.post(links_in(mail)["stop"], {"do": "this"}, headers={"X-Request-Id": "press-1234"})
        assert answer.status_code == 200
    (told,) = events(request_id="press-1234")
    assert (told.person_id, told.roles) == (cast.patient.id, "patient")


def test_later_offers_what_is_possible_where_the_person_is_and_says_when_it_comes_again(cast, mail, browser):
    path = links_in(mail)["later"]
    with time_machine.travel(OPENED, tick=False):
        page = browser.get(path)
        offered = re.findall(r'value="(\w+)">([^<]+)<', page.content.decode())
        assert offered == [("20261124T1635Z", "In an hour, at 22:05"), ("20261125T0330Z", "Tomorrow, at 09:00")]
        assert "Asia/Kolkata" in words(page)
        assert "It comes again at 22:05" in words(browser.post(path, {"until": offered[0][0]}))
        row = ledger(cast.patient)[0]
        assert (row.status, row.send_at, row.due_at) == ("snoozed", OPENED + timedelta(hours=1), DUE)
        before = contents()
        assert browser.post(path, {"until": offered[0][0]}).status_code == 200
        assert contents() == before
        assert "It comes again on Wednesday at 09:00" in words(browser.post(path, {"until": offered[1][0]}))
    assert claiming.claim(now=later(hours=12, minutes=1)) >= 1
    assert deliveries(cast.patient, channel="email", status="pending")


def test_later_offers_no_quiet_hour_and_nothing_after_the_event(cast, post, browser):
    with door(cast.patient):
        Person.objects.filter(id=cast.patient.id).update(quiet_from="22:00", quiet_until="07:00")
        cast.patient.refresh_from_db()
    appointment(cast.patient, DUE + timedelta(days=1), clinic=cast.clinic.id)
    path = links_in(sent(post))["later"]
    with time_machine.travel(OPENED, tick=False):
        said = words(browser.get(path))
        assert "In an hour" not in said
        assert "Tomorrow, at 09:00" in said
    with time_machine.travel(DUE + timedelta(hours=23, minutes=30), tick=False):
        assert "It cannot be put off any more" in words(browser.get(path))
        after_the_event = browser.post(path, {"until": "20261125T1630Z"})
        assert (after_the_event.status_code, "not possible" in words(after_the_event)) == (400, True)


@pytest.mark.parametrize("until", ["", "tomorrow", "20261124T1531Z", "20261224T1530Z", "99999999T9999Z", "\x00"])
def test_a_time_that_is_none_or_not_possible_is_refused_in_words(mail, browser, until):
    with time_machine.travel(OPENED, tick=False):
        before = contents()
        answer = browser.post(links_in(mail)["later"], {"until": until})
        assert (answer.status_code, "not possible" in words(answer)) == (400, True)
        assert contents() == before


def test_a_link_ends_with_its_reminder_and_unsubscribing_sixty_days_later(cast, mail, browser):
    found = links_in(mail)
    ends = ledger(cast.patient)[0].expires_at
    for at, over in ((ends - timedelta(seconds=1), set()), (ends, {"seen", "later"}),
                     (ends + timedelta(days=60), {"seen", "later", "stop"})):  # fmt: skip
        with time_machine.travel(at, tick=False):
            for act, path in found.items():
                assert browser.get(path).status_code == (410 if act in over else 200), (act, at)
    with time_machine.travel(ends, tick=False):
        before = contents()
        page = browser.post(found["seen"])
        assert (page.status_code, "This link is over" in words(page)) == (410, True)
        assert contents() == before


def test_a_link_that_was_touched_opens_nothing(cast, mail, browser):
    path = links_in(mail)["seen"]
    check_in_rule(cast.other_patient)
    other = ledger(cast.other_patient)[0].id
    _, held, signature = path.removeprefix("/r/").split(".")
    for_other = links.token_of(act=Act.SEEN, reminder_id=other, ends_at=later(hours=2)).split(".")[1]
    touched = [
        *(path[:at] + ("A" if path[at] != "A" else "B") + path[at + 1 :] for at in range(3, len(path))),
        f"/r/stop.{held}.{signature}", f"/r/later.{held}.{signature}", f"/r/seen.{for_other}.{signature}",
        f"/r/seen.{held}", "/r/seen", "/r/seen..", "/r/x.y.z", "/r/%00", "/r/" + "a" * 5000, f"{path}x",
    ]  # fmt: skip
    with time_machine.travel(OPENED, tick=False):
        before = contents()
        for wrong in touched:
            assert browser.get(wrong).status_code == 404, wrong
        assert "This link leads nowhere" in words(browser.post(touched[0]))
        assert browser.post(touched[-2]).status_code == 404
        assert contents() == before


def test_a_link_is_its_reminders_persons_whoever_is_signed_in(cast, mail):
    """The outsider who got hold of a mail does by it what its owner could, as its owner, and sees nothing more."""
    check_in_rule(cast.outside_patient)
    outsider = Browser()
    outsider.cookies["sessionid"] = cast.client(cast.outsider).token
    with time_machine.travel(OPENED, tick=False):
        said = words(outsider.get(links_in(mail)["seen"]))
        for word in (cast.patient.full_name, cast.patient.email, cast.outsider.full_name, cast.clinic.phone):
            assert word not in said
        before = ledger(cast.outside_patient)
        assert outsider.post(links_in(mail)["stop"], {"do": "every"}).status_code == 200
    assert choices(cast.outside_patient) == choices(cast.outsider) == {}
    assert [row.status for row in ledger(cast.outside_patient)] == [row.status for row in before]


def test_what_is_done_or_over_says_so(cast, mail, browser):
    with door(cast.patient):
        planning.settle(
            person_id=cast.patient.id, purpose=Purpose.CHECK_IN, from_at=NOON, until_at=later(hours=1),
            reason="already_logged", now=OPENED,
        )  # fmt: skip
    with time_machine.travel(OPENED, tick=False):
        for act in ("seen", "later"):
            assert "It is done already" in words(browser.get(links_in(mail)[act]))
        assert browser.post(links_in(mail)["seen"]).status_code == 200
        assert browser.post(links_in(mail)["later"], {"until": "20261124T1635Z"}).status_code == 409
    assert ledger(cast.patient)[0].status == "done"


def test_a_cancelled_appointments_link_answers_nothing(cast, post, browser):
    about = ("occurrence", uuid.uuid4())
    appointment(cast.patient, DUE + timedelta(days=1), clinic=cast.clinic.id, about=about)
    found = links_in(sent(post))
    with door(cast.patient):
        Reminder.objects.filter(status="sent").update(status="skipped", reason="appointment_cancelled")
    with time_machine.travel(OPENED, tick=False):
        assert "Nothing to answer any more" in words(browser.get(found["seen"]))
        assert browser.post(found["seen"]).status_code == 409


def test_an_alert_has_no_link_but_the_way_to_sign_in(cast, post, browser):
    with door(cast.patient):
        planning.set_anchor(
            person=cast.patient, purpose=Purpose.ALERT, about=("alert", uuid.uuid4()), anchor_at=DUE, offsets=[{}],
            now=NOON,
        )  # fmt: skip
    mail = sent(post)
    assert links_in(mail) == {}
    assert (mail["List-Unsubscribe"], mail["List-Unsubscribe-Post"], mail["Importance"]) == (None, None, "high")
    for form in ("plain", "html"):
        assert f"{settings.BASE_URL}/" in mail.get_body((form,)).get_content()
    alert = ledger(cast.patient)[0]
    with time_machine.travel(OPENED, tick=False):
        before = contents()
        for act in Act:
            path = f"/r/{links.token_of(act=act, reminder_id=alert.id, ends_at=later(days=1))}"
            assert browser.get(path).status_code == browser.post(path).status_code == 404
        assert contents() == before


def test_whose_account_was_closed_has_no_links_any_more(cast, mail, browser):
    with door(cast.patient):
        Person.objects.filter(id=cast.patient.id).update(deactivated_at=OPENED)
    with time_machine.travel(OPENED, tick=False):
        for path in links_in(mail).values():
            assert browser.get(path).status_code == browser.post(path).status_code == 404


def test_the_page_is_for_nobody_else_to_find_keep_or_frame(mail, browser):
    with time_machine.travel(OPENED, tick=False):
        for path in links_in(mail).values():
            answer = browser.get(path)
            assert answer["X-Robots-Tag"] == "noindex"
            assert "no-store" in answer["Cache-Control"]
            assert "default-src 'none'" in answer["Content-Security-Policy"]
            page = answer.content.decode()
            assert '<meta name="referrer" content="no-referrer">' in page
            assert "<script" not in page
