"""The console's pages: sign-in, the panel, a patient, refusals in words; strict policy, no script needed."""

import re
import uuid
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backend.accounts import access, people
from backend.accounts.models import Role
from tests.cast import JOINED, Cast
from tests.insights.diary import Diary
from tests.web.reading import browser, read, words

MUMBAI = ZoneInfo("Asia/Kolkata")
NOW = datetime(2026, 11, 24, 18, 38, tzinfo=MUMBAI)


@pytest.fixture(autouse=True)
def evening() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


def lived(cast: Cast) -> Diary:
    """Forty answered days, lower in the last week; a session four weeks ago; silence at neither end."""
    diary = Diary(cast.patient, cast.clinic)
    diary.moods(last=NOW - timedelta(hours=9), days=7, mood=3)
    diary.moods(last=NOW - timedelta(days=7, hours=9), days=33, mood=7)
    diary.session(NOW - timedelta(days=28, hours=8))
    return diary


def test_the_panel_shows_the_own_people_with_the_reason_before_the_number(cast: Cast) -> None:
    lived(cast)
    page = read(browser(cast.psychiatrist).get("/"))
    assert words(page.xpath("//h1")[0]) == "1 person needs you today"
    assert page.xpath("//title/text()") == ["1 person needs you today · Afterglow"]
    names = [words(name) for name in page.xpath("//*[@class='who']/b")]
    assert names == ["Patient", "Other Patient"]
    first = page.xpath("//a[@class='person']")[0]
    assert first.get("href") == f"/patients/{cast.patient.id}"
    assert "Mood lower than the four weeks before" in words(first)
    assert words(first).index("Mood lower") < words(first).index("28 days")
    assert "3.0" in words(first)
    assert "Unassigned" not in page.text_content()


def test_filters_and_the_search_keep_some_of_them(cast: Cast) -> None:
    lived(cast)
    client = browser(cast.psychiatrist)

    def shown(query: str) -> list[str]:
        return [words(name) for name in read(client.get(query)).xpath("//*[@class='who']/b")]

    assert shown("/?show=lower") == ["Patient"]
    assert shown("/?show=risk") == ["Patient"]
    assert shown("/?show=silent") == []
    assert shown("/?find=other") == ["Other Patient"]
    assert shown("/?show=nonsense") == ["Patient", "Other Patient"]
    chips = [words(chip) for chip in read(client.get("/")).xpath("//nav[@class='chips']/a")]
    assert chips[0] == "All 2"
    assert chips[1] == "Needs me 1"


def test_what_is_searched_for_is_text_and_never_markup(cast: Cast) -> None:
    answer = browser(cast.psychiatrist).get("/", {"find": '"><script>alert(1)</script>'})
    assert b"<script>alert" not in answer.content
    assert "Nobody by that name" in answer.content.decode()


def test_the_patient_page_tells_the_same_numbers_as_picture_and_table(cast: Cast) -> None:
    diary = lived(cast)
    diary.sleep(date(2026, 11, 24), NOW, minutes_asleep=306)
    diary.substance(date(2026, 11, 22), NOW, "alcohol", used=True)
    diary.appointment(NOW + timedelta(days=6), with_person=cast.psychiatrist)
    page = read(browser(cast.psychiatrist).get(f"/patients/{cast.patient.id}"))
    assert words(page.xpath("//h1")[0]) == "Patient"
    figures = [words(figure) for figure in page.xpath("//dl[contains(@class,'figures')]/div")]
    assert figures[0] == "Mood, 7-day mean 3.0 of 10 four weeks before 7.0"
    assert figures[1].startswith("Sleep, 7 nights 5.1 h a night")
    assert figures[2] == "Since last session 28 days 27 Oct, 40 mg, IV"
    assert figures[3] == "Answered, 7 days 7 of 7 every day"
    assert [words(h) for h in page.xpath("//table[@id='numbers']/thead//th")] == [
        "Day", "Mood", "7-day mean", "Sleep", "Exercise", "Alcohol", "Session",
    ]  # fmt: skip
    rows = page.xpath("//table[@id='numbers']/tbody/tr")
    assert len(rows) == 84
    assert [words(cell) for cell in rows[0]] == ["Tue 24 Nov", "3", "3.0", "5.1 h", "\u2013", "\u2013", ""]
    assert [words(cell) for cell in rows[2]][5] == "lapse"
    assert [words(cell) for cell in rows[28]][-1] == "40 mg"
    assert len(page.xpath("//*[local-name()='svg'][contains(@class,'chart-wide')]")) == 1
    assert len(page.xpath("//*[local-name()='svg'][contains(@class,'chart-narrow')]")) == 1
    assert "Follow-up, Mon 30 Nov" in words(page)


@pytest.mark.parametrize(("chosen", "days", "name"), [("4w", 28, "Four weeks"), ("1y", 365, "One year")])
def test_the_range_is_chosen_by_a_link(cast: Cast, chosen: str, days: int, name: str) -> None:
    client = browser(cast.psychiatrist)
    page = read(client.get(f"/patients/{cast.patient.id}?range={chosen}"))
    assert len(page.xpath("//table[@id='numbers']/tbody/tr")) == days
    assert words(page.get_element_by_id("trend-heading")) == name
    (on,) = page.xpath("//nav[@class='choices']/a[@aria-current]")
    assert on.get("href").endswith(f"range={chosen}")
    assert client.get(f"/patients/{cast.patient.id}?range=2y").status_code == 400


def test_the_patient_page_turns_to_the_next_who_needs_someone(cast: Cast) -> None:
    lived(cast)
    Diary(cast.other_patient, cast.clinic).moods(last=NOW - timedelta(days=5), days=40, mood=6)
    client = browser(cast.psychiatrist)
    first = read(client.get(f"/patients/{cast.patient.id}"))
    assert "1 of 2 who need you" in words(first.xpath("//p[@class='crumb']")[0])
    assert first.xpath("//a[@rel='next']/@href") == [f"/patients/{cast.other_patient.id}"]
    second = read(client.get(f"/patients/{cast.other_patient.id}"))
    assert second.xpath("//a[@rel='prev']/@href") == [f"/patients/{cast.patient.id}"]
    assert second.xpath("//a[@rel='next']") == []


def test_a_patient_without_any_entry_has_a_page_that_says_so(cast: Cast) -> None:
    page = words(read(browser(cast.psychiatrist).get(f"/patients/{cast.other_patient.id}")))
    for said in ("No check-in yet", "needs 4 days of 7 with an entry", "no session yet", "Nothing planned."):
        assert said in page


def test_strangers_get_the_same_404_as_for_nobody(cast: Cast) -> None:
    answers = [
        browser(cast.outsider).get(f"/patients/{cast.patient.id}"),
        browser(cast.outsider).get(f"/patients/{uuid.uuid4()}"),
        browser(cast.nurse).get(f"/patients/{cast.patient.id}"),
        browser(cast.psychiatrist).get("/nothing/here"),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({words(read(answer).xpath("//main")[0]) for answer in answers}) == 1


def test_those_who_are_no_clinicians_are_told_where_to_go(cast: Cast) -> None:
    for person in (cast.patient, cast.administrator, cast.auditor):
        for path in ("/", f"/patients/{cast.patient.id}"):
            answer = browser(person).get(path)
            assert answer.status_code == 403
            assert "This page is for care teams" in answer.content.decode()
            assert b'action="/sign-out"' in answer.content


def test_who_works_at_two_clinics_sees_one_at_a_time(cast: Cast) -> None:
    with access.acting_as(None, cast.elsewhere.id, "join"):
        people.join(person=cast.psychiatrist, clinic=cast.elsewhere, role=Role.PSYCHIATRIST, now=NOW)
        people.put_on_care_team(
            clinic_id=cast.elsewhere.id, patient_id=cast.outside_patient.id, member_id=cast.psychiatrist.id, now=NOW
        )
    client = browser(cast.psychiatrist)
    assert "Outside Patient" not in client.get("/").content.decode()
    other = client.get("/", {"clinic": str(cast.elsewhere.id)}).content.decode()
    assert "Outside Patient" in other
    assert "Other Patient" not in other
    assert client.get(f"/patients/{cast.patient.id}").status_code == 404
    assert client.get(f"/patients/{cast.outside_patient.id}").status_code == 200


def pages(cast: Cast) -> list[Any]:
    client = browser(cast.psychiatrist)
    return [
        browser().get("/sign-in"),
        client.get("/"),
        client.get(f"/patients/{cast.patient.id}"),
        client.get("/nothing"),
        browser(cast.patient).get("/"),
    ]


def test_no_page_needs_inline_script_or_style(cast: Cast) -> None:
    lived(cast)
    for answer in pages(cast):
        policy = answer["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        text = answer.content.decode()
        assert not re.search(r"\sstyle=", text)
        assert "<style" not in text
        assert not re.search(r"\son[a-z]+=", text)
        for script in read(answer).xpath("//script"):
            assert script.get("src", "").startswith("/static/web/")
            assert not (script.text or "").strip()
        for address in read(answer).xpath("//@src | //link/@href"):
            assert address.startswith("/static/web/")


def test_every_page_can_be_walked_by_keyboard_and_heard(cast: Cast) -> None:
    lived(cast)
    for answer in pages(cast):
        page = read(answer)
        assert page.get("lang") == "en"
        assert page.xpath("//title/text()")[0].endswith(" · Afterglow")
        assert len(page.xpath("//main[@id='main']")) == 1
        assert page.xpath("//a[@class='skip']/@href") == ["#main"]
        assert len(page.xpath("//h1")) == 1
        ids = page.xpath("//@id")
        assert len(ids) == len(set(ids)), [i for i in ids if ids.count(i) > 1]
        for field in page.xpath("//input[not(@type='hidden')]"):
            labelled = page.xpath(f"//label[@for='{field.get('id')}']") or field.xpath("ancestor::label")
            assert labelled, field.get("name")
        for button in page.xpath("//button | //a"):
            assert words(button) or button.get("aria-label")
        for picture in page.xpath("//*[local-name()='svg'][not(ancestor::*[local-name()='svg'])]"):
            hidden = picture.get("aria-hidden") == "true" or picture.get("hidden") is not None
            inside = picture.xpath("ancestor::*[@aria-hidden='true']")
            assert hidden or inside or picture.get("role") == "img"
        for used in page.xpath("//*[local-name()='use']/@href"):
            assert used.lstrip("#") in ids


def test_pages_of_records_are_kept_by_no_cache(cast: Cast) -> None:
    client = browser(cast.psychiatrist)
    for path in ("/", f"/patients/{cast.patient.id}"):
        assert client.get(path)["Cache-Control"] == "private, no-store"
        assert client.post(path).status_code in {403, 405}


def test_the_theme_that_was_chosen_arrives_with_the_page(cast: Cast) -> None:
    client = browser(cast.psychiatrist)
    assert read(client.get("/")).get("data-theme") is None
    client.cookies["theme"] = "dark"
    assert read(client.get("/")).get("data-theme") == "dark"
    client.cookies["theme"] = '"><script>'
    assert read(client.get("/")).get("data-theme") is None


def test_the_panel_asks_the_database_no_more_for_more_people(cast: Cast) -> None:
    client = browser(cast.psychiatrist)
    client.get("/")

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            client.get("/")
        return len(queries)

    before = statements()
    with access.acting_as(None, cast.clinic.id, "join"):
        for n in range(20):
            person = people.create(
                email=f"more{n}@example.org", full_name=f"More {n}", time_zone="Asia/Kolkata", now=JOINED
            )
            people.join(person=person, clinic=cast.clinic, role=Role.PATIENT, now=JOINED)
            people.put_on_care_team(
                clinic_id=cast.clinic.id, patient_id=person.id, member_id=cast.psychiatrist.id, now=JOINED
            )
    assert statements() == before


def test_a_psychiatrist_opens_a_colleagues_patient_in_an_emergency(cast: Cast) -> None:
    page, path = browser(cast.psychiatrist), f"/patients/{cast.unassigned_patient.id}"
    led = page.get(path)
    assert (led.status_code, led["Location"]) == (302, f"/emergency?patient={cast.unassigned_patient.id}")
    asked = read(page.get(led["Location"]))
    assert "Someone else cares for this patient" in words(asked)
    assert "Unassigned" not in words(asked), "the name is not told before the record is opened"
    without = page.post("/emergency", {"patient": str(cast.unassigned_patient.id), "reason": "why"})
    assert without.status_code == 400
    assert "Say why" in words(read(without))
    opened = page.post(
        "/emergency", {"patient": str(cast.unassigned_patient.id), "reason": "Called the ward and hung up."}
    )
    assert (opened.status_code, opened["Location"]) == (302, path)
    assert "Unassigned Patient" in words(read(page.get(path)))
    assert "Unassigned Patient" not in words(read(page.get("/")))


def test_the_emergency_page_is_for_psychiatrists_and_knows_only_the_own_clinic(cast: Cast) -> None:
    for other in (cast.therapist, cast.nurse):
        assert browser(other).get("/emergency").status_code == 403
    away = f"/emergency?patient={cast.outside_patient.id}"
    assert browser(cast.psychiatrist).get(away).status_code == 404
    sent = {"patient": str(cast.outside_patient.id), "reason": "Whatever the reason may be."}
    assert browser(cast.psychiatrist).post("/emergency", sent).status_code == 404
    nobody = browser(cast.psychiatrist).get("/emergency?name=Outside+Patient&born_on=1980-01-01")
    assert "Nobody by that name and birth date" in words(read(nobody))
    wrong = browser(cast.psychiatrist).get("/emergency?name=Outside+Patient&born_on=soon")
    assert "year-month-day" in words(read(wrong))
