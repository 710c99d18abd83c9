"""The reminder pages in Chromium: on a phone, in both themes, without a script; forms that ask why."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from backend.accounts import access
from backend.common import clock
from backend.reminders import claiming
from backend.reminders.models import Delivery, Reminder
from tests.cast import Cast
from tests.codes import enrol
from tests.live import App
from tests.reminders.engine import appointment, check_in_rule
from tests.web.browsing import browse, sign_in
from tests.web.test_browser import overflow

pytestmark = pytest.mark.slow


@pytest.fixture
def lived(cast: Cast) -> Cast:
    """A check-in of a minute ago that was never confirmed, the next one, and a visit next week."""
    now = clock.now().replace(microsecond=0)
    start = (now - timedelta(minutes=1)).astimezone(ZoneInfo("Asia/Kolkata")).replace(tzinfo=None)
    check_in_rule(cast.patient, now=now - timedelta(minutes=5), start=start)
    claiming.claim(now=now)
    with access.maintaining("test"):
        Reminder.objects.filter(status="due").update(status="sent", sent_at=now, reason="unconfirmed")
        Delivery.objects.filter(channel="email").update(status="unknown")
    appointment(cast.patient, now + timedelta(days=7), now=now, clinic=cast.clinic.id)
    enrol(cast.psychiatrist)
    return cast


def test_on_a_phone_without_a_script_a_reminder_is_taken_back_and_another_let_be(live_app: App, lived: Cast) -> None:
    with browse(live_app.base_url, width=390, height=844, java_script_enabled=False) as (page, complaints):
        sign_in(page, "psychiatrist")
        page.get_by_role("link", name="1 reminder was never confirmed").click()
        page.locator("summary").click()
        page.get_by_label("Let be: why?").fill("She has seen it in the app")
        page.get_by_role("button", name="Let be").click()
        expect(page.get_by_text("Nothing is in doubt")).to_be_visible()
        page.goto(f"/patients/{lived.patient.id}")
        page.get_by_role("link", name="Reminders").click()
        page.locator("summary").first.focus()
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Take back").first.click()
        expect(page.get_by_role("alert")).to_contain_text("Say why")
        page.get_by_label("Take back: why?").first.fill("Away for a day")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("Taken back")
        page.get_by_role("link", name="What will be sent").click()
        expect(page.locator(".calendar > li")).to_have_count(14)
        expect(page.get_by_text("Appointment").first).to_be_visible()
        assert [each for each in complaints if "400" not in each] == []  # the form without a reason


def test_two_weeks_are_a_grid_on_a_desk_and_a_list_on_a_phone(live_app: App, lived: Cast) -> None:
    with browse(live_app.base_url, width=1280) as (page, complaints):
        sign_in(page, "psychiatrist")
        page.goto(f"/patients/{lived.patient.id}/reminders/plan")
        columns = "getComputedStyle(document.querySelector('.calendar')).gridTemplateColumns.split(' ').length"
        assert page.evaluate(columns) == 7
        assert overflow(page) == 0
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate(columns) == 1
        for path in ("reminders/plan", "reminders"):
            page.goto(f"/patients/{lived.patient.id}/{path}")
            assert overflow(page) == 0, path
        page.locator("summary").first.click()
        assert overflow(page) == 0
        assert complaints == []
