"""Chromium for tests: a page with its own user data, and everything that it complained about."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.cast import PASSWORD
from tests.codes import code

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip


def needs_chromium() -> None:
    """Skips with one line where Chromium is missing; on CI that is a failure."""
    if CHROMIUM is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have Chromium: apt-get install chromium")
        pytest.skip("no Chromium on this machine")


@contextlib.contextmanager
def browse(base_url: str, *, width: int = 1440, height: int = 900, **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """(page, complaints): what the console reported, violations of the policy included.

    Write to the database before entering: Playwright's loop runs in this thread, and Django's ORM refuses to.
    """
    needs_chromium()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as user_data, sync_playwright() as play:
        context = play.chromium.launch_persistent_context(
            user_data,
            executable_path=CHROMIUM,
            args=ARGUMENTS,
            base_url=base_url,
            viewport={"width": width, "height": height},
            **options,
        )
        try:
            page = context.new_page()
            page.set_default_timeout(15_000)
            complaints: list[str] = []
            page.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            yield page, complaints
        finally:
            context.close()


def sign_in(page: Page, name: str) -> None:
    """Signs the member of the cast in, as a person would; `codes.enrol` has given them an app before."""
    page.goto("/")
    password(page, name)
    page.get_by_label("Code").fill(code())
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("heading", name="Second step").wait_for(state="detached")
    page.get_by_role("heading", level=1).wait_for()


def password(page: Page, name: str) -> None:
    """The first step of it."""
    page.get_by_label("E-mail address").fill(f"{name}@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("heading", name="Sign in", exact=True).wait_for(state="detached")
