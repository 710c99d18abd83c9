"""In a real browser: a psychiatrist opens the trend, by mouse, by keyboard, on a phone, and without JavaScript."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, Response, expect

from backend.common import clock
from tests.cast import Cast
from tests.codes import enrol
from tests.insights.diary import Diary
from tests.live import App
from tests.web.browsing import browse, sign_in

pytestmark = [pytest.mark.slow, pytest.mark.browser]

TRANSFER_LIMIT = 200_000  # GOALS.md: bytes of a page the first time


@pytest.fixture
def now() -> datetime:
    return clock.now()


@pytest.fixture
def lived(cast: Cast, now: datetime) -> Cast:
    """Twelve weeks of life, with a session, a silence of four days long ago, lapses and nights."""
    diary = Diary(cast.patient, cast.clinic)
    diary.moods(last=now - timedelta(minutes=5), days=7, mood=3)
    diary.moods(last=now - timedelta(days=7, minutes=5), days=30, mood=7)
    diary.moods(last=now - timedelta(days=42), days=40, mood=5)
    diary.session(now - timedelta(days=28))
    for n in range(0, 60, 2):
        day = (now - timedelta(days=n)).date()
        diary.sleep(day, now, minutes_asleep=400 + n)
        diary.substance(day, now, "alcohol", used=n % 20 == 6)
        diary.exercise(now - timedelta(days=n, hours=1), 30)
    diary.appointment(now + timedelta(days=3), with_person=cast.psychiatrist)
    enrol(cast.psychiatrist)
    return cast


def shown(page: Page, selector: str) -> bool:
    return page.locator(selector).first.is_visible()


def drawn(page: Page, mark: str) -> bool:
    """Whether the mark is painted. A level line has no height, so Playwright would not call it visible."""
    visibility = page.locator(f".chart-wide .{mark}").first.evaluate("mark => getComputedStyle(mark).visibility")
    return bool(visibility == "visible")


def overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_a_psychiatrist_signs_in_and_opens_the_trend(live_app: App, lived: Cast) -> None:
    with browse(live_app.base_url) as (page, complaints):
        sign_in(page, "psychiatrist")
        expect(page).to_have_title("1 person needs you today · Afterglow")
        page.get_by_role("link", name="Mood lower than the four weeks before").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Patient")
        expect(page.locator(".chart-wide")).to_be_visible()
        assert not shown(page, ".chart-narrow")
        assert page.locator(".chart-wide .c-dia").count() == 1
        assert page.locator(".chart-wide .c-sil").count() == 1
        page.get_by_text("The same numbers as a table").click()
        expect(page.locator("#numbers tbody tr")).to_have_count(84)
        page.get_by_role("link", name="One year").click()
        expect(page.locator("#trend-heading")).to_have_text("One year")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        assert complaints == []


def test_the_read_out_follows_pointer_and_arrow_keys(live_app: App, lived: Cast) -> None:
    with browse(live_app.base_url) as (page, complaints):
        sign_in(page, "psychiatrist")
        page.goto(f"/patients/{lived.patient.id}")
        readout, cross = page.locator("#readout"), page.locator(".chart-wide .c-cross")
        expect(readout).to_contain_text("Point at a day")
        page.locator("#picture").focus()
        page.keyboard.press("End")
        today = page.locator("#numbers tbody tr").first.locator("th").text_content() or ""
        expect(readout.locator("b")).to_have_text(today)
        expect(readout).to_contain_text("mood 3 · 7-day mean 3.0")
        expect(cross).not_to_have_attribute("hidden", "")
        page.keyboard.press("ArrowLeft")
        expect(readout.locator("b")).not_to_have_text(today)
        box = page.locator(".chart-wide").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
        expect(readout).to_contain_text("mood")
        page.mouse.move(5, 5)
        expect(readout).to_contain_text("Point at a day")
        expect(cross).to_have_attribute("hidden", "")
        assert complaints == []


def test_layers_can_be_put_away(live_app: App, lived: Cast) -> None:
    with browse(live_app.base_url) as (page, _):
        sign_in(page, "psychiatrist")
        page.goto(f"/patients/{lived.patient.id}")
        for name, mark in (("Answers", "c-raw"), ("Sessions", "c-dia"), ("Sleep, exercise, alcohol", "c-sleep")):
            assert drawn(page, mark)
            page.get_by_role("checkbox", name=name).uncheck()
            assert not drawn(page, mark)
        assert drawn(page, "c-mean")


def test_the_panel_is_walked_by_keys(live_app: App, lived: Cast) -> None:
    def at(page: Page) -> Any:
        return page.evaluate("document.activeElement.getAttribute('href') || document.activeElement.id")

    with browse(live_app.base_url) as (page, _):
        sign_in(page, "psychiatrist")
        page.keyboard.press("j")
        assert at(page) == f"/patients/{lived.patient.id}"
        page.keyboard.press("j")
        assert at(page) == f"/patients/{lived.other_patient.id}"
        page.keyboard.press("k")
        page.keyboard.press("/")
        assert at(page) == "find"
        page.keyboard.type("jj other")
        assert page.locator("#find").input_value() == "jj other"
        page.locator("#find").fill("other")
        page.keyboard.press("Enter")
        expect(page.locator(".person")).to_have_count(1)
        page.keyboard.press("Tab")
        page.locator("body").press("j")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Other Patient")


@pytest.mark.parametrize("width", [390, 320])
def test_on_a_phone_everything_fits_and_lane_names_stay_in_view(live_app: App, lived: Cast, width: int) -> None:
    with browse(live_app.base_url, width=width, height=844, has_touch=True, is_mobile=True) as (page, complaints):
        page.goto("/sign-in")
        assert overflow(page) == 0
        sign_in(page, "psychiatrist")
        assert overflow(page) == 0
        expect(page.get_by_text("Mood lower than the four weeks before")).to_be_visible()
        page.locator(".person").first.click()
        expect(page.locator(".chart-narrow")).to_be_visible()
        assert not shown(page, ".chart-wide")
        assert overflow(page) == 0
        for name in ("Sessions, mg", "Mood, 0 low to 10 bright", "Sleep, hours", "Exercise, minutes", "Alcohol"):
            box = page.locator(".chart-narrow .lab", has_text=name).bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
        targets = page.locator("header a, header button, .choices a, .layers label, .fold > summary, .crumb a")
        for target in targets.all():
            box = target.bounding_box()
            if box is not None:
                assert round(box["height"]) >= 44, target.text_content()
        assert complaints == []


def test_reading_works_without_javascript(live_app: App, lived: Cast) -> None:
    with browse(live_app.base_url, java_script_enabled=False) as (page, _):
        sign_in(page, "psychiatrist")
        page.locator(".person").first.click()
        expect(page.locator(".chart-wide")).to_be_visible()
        assert not shown(page, "#readout")
        assert not shown(page, "[data-theme-switch]")
        page.get_by_text("The same numbers as a table").click()
        expect(page.locator("#numbers")).to_be_visible()
        page.get_by_role("checkbox", name="Answers").uncheck()
        assert not drawn(page, "c-raw")


def test_light_or_dark_is_remembered(live_app: App, lived: Cast) -> None:
    def ground(page: Page) -> Any:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    with browse(live_app.base_url, color_scheme="dark") as (page, complaints):
        sign_in(page, "psychiatrist")
        assert ground(page) == "rgb(14, 18, 21)"
        page.get_by_role("button", name="Light or dark").click()
        assert ground(page) == "rgb(246, 246, 244)"
        page.goto(f"/patients/{lived.patient.id}")
        assert ground(page) == "rgb(246, 246, 244)"
        assert complaints == []


def test_pages_are_light_to_carry(live_app: App, lived: Cast) -> None:
    with browse(live_app.base_url) as (page, _):
        sign_in(page, "psychiatrist")
        answers: list[Response] = []
        page.on("response", lambda answer: answers.append(answer))
        for path in ("/sign-out", "/", f"/patients/{lived.patient.id}", f"/patients/{lived.patient.id}?range=1y"):
            answers.clear()
            page.goto(path, wait_until="load")
            assert any(answer.url.endswith("base.css") for answer in answers)
            assert sum(len(answer.body()) for answer in answers) < TRANSFER_LIMIT, path
