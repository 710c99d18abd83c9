"""Passkeys in a real browser, with an authenticator that the browser pretends to have."""

import pytest
from playwright.sync_api import Page, expect

from tests.cast import Cast
from tests.live import App
from tests.web.browsing import browse, password

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def authenticator(page: Page) -> None:
    """A platform authenticator that always says yes."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def test_a_passkey_is_set_up_and_then_signs_in_alone(live_app: App, cast: Cast) -> None:
    with browse(live_app.base_url.replace("127.0.0.1", "localhost")) as (page, complaints):
        authenticator(page)
        page.goto("/")
        password(page, "psychiatrist")
        expect(page.get_by_role("heading", level=1)).to_have_text("Set up a second step")
        page.get_by_label("A name for it").fill("Laptop")
        page.get_by_role("button", name="Add a passkey").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Your recovery codes")
        page.get_by_role("link", name="I have kept them").click()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name="Sign in with a passkey").click()
        expect(page.get_by_role("navigation", name="Main")).to_be_visible()
        page.goto("/sign-ins")
        expect(page.locator("b", has_text="Laptop")).to_be_visible()
        assert complaints == []


def test_where_there_can_be_none_no_passkey_is_offered(live_app: App, cast: Cast) -> None:
    with browse(live_app.base_url) as (page, complaints):
        page.goto("/sign-in")
        expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
        expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
        assert complaints == []
