"""The console's pages about reminders: the ledger with its stories and forms, two weeks to come, what is in doubt."""

import uuid
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine

from backend.accounts import access
from backend.accounts.models import Person
from backend.reminders import claiming
from backend.reminders.models import Delivery, Reminder
from tests.accounts.trail import events
from tests.cast import Cast
from tests.reminders.engine import appointment, check_in_rule, ledger
from tests.web.reading import browser, read, words

NOW = datetime(2026, 11, 24, 13, 8, tzinfo=UTC)  # 18:38 in Mumbai
NINE = datetime(2026, 11, 1, 21)  # noqa: DTZ001  (wall time)
WHY = "The patient asked for it on the telephone"


@pytest.fixture(autouse=True)
def evening() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def lived(cast: Cast) -> Cast:
    """Five evenings with a check-in reminder, the last one never confirmed; one planned for tonight."""
    check_in_rule(cast.patient, now=NOW - timedelta(days=5, hours=1), start=NINE)
    for row in range(5):
        claiming.claim(now=ledger(cast.patient)[row].send_at)
        with access.maintaining("test"):  # the patient was heard of meanwhile
            Reminder.objects.update(unanswered_since_at=None)
    with access.maintaining("test"):
        Reminder.objects.filter(status="due").update(status="sent", sent_at=NOW - timedelta(days=1))
        Delivery.objects.filter(channel="email").update(status="sent")
        last = Reminder.objects.filter(status="sent").order_by("-due_at").first()
        assert last is not None
        Reminder.objects.filter(id=last.id).update(reason="unconfirmed")
        Delivery.objects.filter(reminder=last, channel="email").update(status="unknown")
    return cast


def _page(cast: Cast, path: str = "", who: Person | None = None) -> Any:
    return browser(who or cast.therapist).get(f"/patients/{cast.patient.id}/reminders{path}")


def _send(cast: Cast, row: Reminder, act: str, reason: str = WHY, who: Person | None = None, **more: str) -> Any:
    path = f"/patients/{row.person_id}/reminders/{row.id}/{act}"
    return browser(who or cast.therapist).post(path, {"reason": reason, **more})


def test_the_patients_page_leads_to_the_ledger(lived: Cast) -> None:
    page = read(browser(lived.therapist).get(f"/patients/{lived.patient.id}"))
    (link,) = page.xpath("//a[text()='Reminders']")
    assert read(browser(lived.therapist).get(link.get("href"))).xpath("//h1/text()") == ["Reminders of Patient"]


def test_the_ledger_tells_each_reminder_in_the_patients_time_with_its_story(lived: Cast) -> None:
    page = read(_page(lived))
    rows = page.xpath("//ol[contains(@class, 'entries')]/li")
    assert len(rows) == 6
    said = [words(row.xpath(".//summary")[0]) for row in rows]
    assert said[0] == "Tue 24 Nov, 21:00 Daily check-in Planned nothing yet"
    assert said[1] == "Mon 23 Nov, 21:00 Daily check-in Not confirmed E-mail: not confirmed Inbox: sent"
    assert "Sent" in said[2]
    assert "never confirmed" in words(rows[1].xpath(".//ol[@class='story']")[0])
    assert "Asia/Kolkata" in words(rows[2])
    assert "Kolkata" in words(page.xpath("//p[@class='soft']")[0])
    assert rows[1].xpath(".//details[contains(@class, 'entry-doubt')]")
    offered = [[form.get("action").rpartition("/")[2] for form in row.xpath(".//form")] for row in rows[:3]]
    assert offered == [["cancel"], ["resend", "let-be"], ["resend"]]
    assert page.xpath("//form[@method='post']//input[@name='csrfmiddlewaretoken']")


def test_filters_and_older_pages_keep_each_other(lived: Cast) -> None:
    def days(path: str) -> list[str]:
        found = read(_page(lived, path)).xpath("//ol[contains(@class, 'entries')]//summary//time")
        return [words(each).partition(",")[0] for each in found]

    assert days("?status=planned") == ["Tue 24 Nov"]
    assert days("?status=doubt") == ["Mon 23 Nov"]
    assert days("?from=2026-11-20&until=2026-11-21") == ["Sat 21 Nov", "Fri 20 Nov"]
    assert days("?purpose=appointment") == []
    assert "Nothing of this kind" in _page(lived, "?purpose=appointment").content.decode()
    first = ledger(lived.patient)[3]
    assert days(f"?status=sent&beyond={first.id}") == ["Sat 21 Nov", "Fri 20 Nov", "Thu 19 Nov"]
    for bad in ("?status=nonsense", "?purpose=x", "?from=yesterday", "?until=0001-01-01"):
        assert _page(lived, bad).status_code == 400
    for bad in (f"?beyond={uuid.uuid4()}", "?beyond=x"):
        assert _page(lived, bad).status_code == 404


def test_visits_far_ahead_do_not_bury_what_was_and_come_soonest_first_when_asked_for(lived: Cast) -> None:
    for week in (3, 1, 2):
        appointment(lived.patient, NOW + timedelta(weeks=week), now=NOW, clinic=lived.clinic.id)
    page = read(_page(lived))
    assert len(page.xpath("//details")) == 6
    ahead = page.xpath("//p[@class='ahead']")[0]
    assert words(ahead) == "6 more are planned after tomorrow. Show what is planned"
    planned = read(browser(lived.therapist).get(ahead.xpath(".//a/@href")[0]))
    days = [words(each).partition(",")[0] for each in planned.xpath("//summary//time")]
    assert days[:3] == ["Tue 24 Nov", "Mon 30 Nov", "Tue 1 Dec"]
    assert len(days) == 7


def test_many_reminders_are_paged_without_a_query_for_each(lived: Cast, django_assert_max_num_queries: Any) -> None:
    rule_id = ledger(lived.patient)[0].rule_id
    with access.maintaining("test"):
        Reminder.objects.bulk_create(
            Reminder(
                rule_id=rule_id, person=lived.patient, clinic=lived.clinic, purpose="check_in", reminder_class="habit",
                due_at=NOW - timedelta(days=100 + n), send_at=NOW, expires_at=NOW, status="done",
                reason="already_logged", created_at=NOW, updated_at=NOW,
            )
            for n in range(60)
        )  # fmt: skip
    client = browser(lived.therapist)
    client.get("/")
    path, shown = f"/patients/{lived.patient.id}/reminders", []
    while path:
        with django_assert_max_num_queries(24):
            page = read(client.get(path))
        shown += [row.get("id") for row in page.xpath("//details")]
        older = page.xpath("//a[@rel='next']/@href")
        path = older[0] if older else ""
    assert len(shown) == len(set(shown)) == 66


def test_taking_back_asks_why_and_tells_what_it_did(lived: Cast) -> None:
    row = ledger(lived.patient, status="planned")[0]
    answer = _send(lived, row, "cancel", reason="  ")
    assert answer.status_code == 400
    page = read(answer)
    assert "Say why" in words(page.xpath("//*[@role='alert']")[0])
    assert page.xpath("//details[@open]/@id") == [f"r-{row.id}"]
    answer = _send(lived, row, "cancel", status="planned")
    assert (answer.status_code, answer["Location"].partition("?")[2]) == (302, "told=cancel&status=planned#told")
    after = read(browser(lived.therapist).get(answer["Location"]))
    assert "Taken back" in words(after.xpath("//*[@role='status']")[0])
    assert [each.status for each in ledger(lived.patient)][-2:] == ["skipped", "planned"]
    told = [event for event in events(person_id=lived.therapist.id) if event.action == "update"]
    assert [(event.object_type, event.reason) for event in told] == [("reminders/cancel", WHY)]
    story = words(read(_page(lived)).xpath(f"//details[@id='r-{row.id}']")[0])
    assert "the clinic took it back" in story
    assert "nothing yet" not in story, "it has ended"
    assert WHY not in story


def test_what_cannot_be_done_is_said_and_changes_nothing(lived: Cast) -> None:
    row = ledger(lived.patient)[0]
    answer = _send(lived, row, "cancel")
    assert answer.status_code == 409
    assert "Nothing was changed. It was sent already" in words(read(answer).xpath("//*[@role='alert']")[0])
    assert ledger(lived.patient)[0].version == row.version
    assert browser(lived.therapist).get(f"/patients/{row.person_id}/reminders/{row.id}/cancel").status_code == 302


def test_what_was_never_confirmed_is_listed_for_the_care_team_and_sent_again_or_let_be(lived: Cast) -> None:
    row = ledger(lived.patient)[4]
    panel = read(browser(lived.therapist).get("/"))
    (link,) = panel.xpath("//a[@href='/reminders/unconfirmed']")
    assert words(link) == "1 reminder was never confirmed"
    page = read(browser(lived.therapist).get("/reminders/unconfirmed"))
    assert [words(name) for name in page.xpath("//main//h2")] == ["Patient"]
    assert b"Nothing is in doubt" in browser(lived.outsider).get("/reminders/unconfirmed").content
    answer = _send(lived, row, "let-be", back="unconfirmed")
    assert answer["Location"] == "/reminders/unconfirmed?told=let-be"
    assert "Nothing is in doubt" in browser(lived.therapist).get(answer["Location"]).content.decode()
    assert _send(lived, row, "resend").status_code == 302
    assert ledger(lived.patient)[4].status == "due"


def test_strangers_other_roles_and_wrong_reminders_find_nothing(lived: Cast) -> None:
    row = ledger(lived.patient, status="planned")[0]
    for path in ("", "/plan"):
        assert _page(lived, path, lived.outsider).status_code == 404
        assert _page(lived, path, lived.nurse).status_code == 404
        assert _page(lived, path, lived.patient).status_code == 403
        assert _page(lived, path, lived.administrator).status_code == 403
    assert _send(lived, row, "cancel", who=lived.outsider).status_code == 404
    assert _send(lived, row, "cancel", who=lived.nurse).status_code == 404
    assert _send(lived, row, "cancel", who=lived.patient).status_code == 403
    other = f"/patients/{lived.other_patient.id}/reminders/{row.id}/cancel"
    assert browser(lived.psychiatrist).post(other, {"reason": WHY}).status_code == 404
    assert ledger(lived.patient)[-1].status == "planned"


def test_an_empty_ledger_says_so(cast: Cast) -> None:
    assert "Nothing sent yet" in _page(cast).content.decode()
    page = read(_page(cast, "/plan"))
    assert len(page.xpath("//li[contains(@class, 'day-empty')]")) == 14


def test_reading_is_told_in_the_audit_trail(lived: Cast) -> None:
    for path in ("", "/plan"):
        _page(lived, path)
    client = browser(lived.therapist)
    client.get("/reminders/unconfirmed")
    told = {(event.object_type, *event.patients) for event in events(person_id=lived.therapist.id)}
    assert {
        ("pages/patient-reminders", lived.patient.id),
        ("pages/patient-reminder-calendar", lived.patient.id),
        ("pages/unconfirmed-reminders", lived.patient.id),
    } <= told


def test_the_calendar_shows_two_weeks_in_the_patients_zone_and_marks_a_clock_change(cast: Cast) -> None:
    with access.maintaining("test"):
        Person.objects.filter(id=cast.patient.id).update(
            time_zone="Europe/London", quiet_from=time(22), quiet_until=time(7)
        )
        cast.patient.refresh_from_db()
    autumn = datetime(2026, 10, 20, 10, tzinfo=UTC)
    with time_machine.travel(autumn, tick=False):
        check_in_rule(cast.patient, now=autumn, start=datetime(2026, 10, 1, 21))  # noqa: DTZ001
        visit = datetime(2026, 10, 27, 6, tzinfo=UTC)
        appointment(cast.patient, visit, now=autumn, clinic=cast.clinic.id)
        page = read(_page(cast, "/plan"))
    days = page.xpath("//ol[@class='calendar']/li")
    assert len(days) == 14
    assert "from-2" in days[0].get("class")
    said = {words(day.xpath("./h2/time")[0]): words(day) for day in days}
    assert said["Tue 20 Oct"] == "Tue 20 Oct today 21:00 Daily check-in Inbox, e-mail"
    assert [day for day, text in said.items() if "Clocks go back 1 hour" in text] == ["Sun 25 Oct"]
    assert all("21:00 Daily check-in" in text for text in said.values())
    assert "22:00 Appointment Inbox, e-mail moved from Mon 26 Oct 06:00 by quiet hours" in said["Sun 25 Oct"]
    assert "22:00 Appointment Inbox, e-mail moved from Tue 27 Oct 04:00 by quiet hours" in said["Mon 26 Oct"]
    assert "London" in words(page.xpath("//p[@class='soft']")[0])
