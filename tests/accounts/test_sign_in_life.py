"""How long a sign-in lasts, what ends it, and that nobody slips into another's."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from backend.accounts import access
from backend.accounts.models import Person, Session
from backend.common import clock
from tests.accounts.test_second_factor import STEP, half, password, phone, token_of
from tests.cast import PASSWORD, Cast, Client
from tests.codes import code, enrol
from tests.web.reading import browser

MINUTE = timedelta(minutes=1)


@pytest.fixture
def now() -> datetime:
    """An instant to count from."""
    return clock.now()


def _staff(cast: Cast) -> str:
    enrol(cast.psychiatrist)
    return token_of(half(cast.psychiatrist).send("POST", STEP, {"code": code()}))


def _at(when: datetime, token: str, path: str = "me", **headers: str) -> Any:
    with time_machine.travel(when, tick=False):
        return phone(token).send("GET", path, **headers)


def test_staff_are_signed_out_after_a_quarter_of_an_hour_without_anything_done(cast: Cast, now: datetime) -> None:
    with time_machine.travel(now, tick=False):
        token = _staff(cast)
    for minutes in (10, 20, 34):
        assert _at(now + minutes * MINUTE, token).status_code == 200, minutes
    over = _at(now + 50 * MINUTE, token)
    assert (over.status_code, over.json()["code"]) == (401, "session_ended")
    assert over["WWW-Authenticate"] == 'Bearer realm="afterglow"'
    assert "sign in again" in over.json()["detail"]


def test_polls_keep_nobody_signed_in(cast: Cast, now: datetime) -> None:
    with time_machine.travel(now, tick=False):
        token = _staff(cast)
    settings_polls = next(iter(settings.POLLS)).removeprefix("/api/v1/")
    for minutes in range(2, 15, 4):
        assert _at(now + minutes * MINUTE, token, "me", **{"X-Background": "true"}).status_code == 200
        assert _at(now + minutes * MINUTE, token, settings_polls).status_code in {200, 404}
    assert _at(now + 16 * MINUTE, token).status_code == 401


def test_a_working_day_of_staff_ends_after_twelve_hours_whatever_they_do(cast: Cast, now: datetime) -> None:
    with time_machine.travel(now, tick=False):
        token = _staff(cast)
    for minutes in range(10, 12 * 60, 10):
        assert _at(now + minutes * MINUTE, token).status_code == 200, minutes
    assert _at(now + timedelta(hours=12, seconds=1), token).json()["code"] == "session_ended"


def test_patients_stay_for_90_days_after_they_last_came(cast: Cast, now: datetime) -> None:
    with time_machine.travel(now, tick=False):
        token = token_of(password(cast.patient))
    for days in (80, 160, 240):
        assert _at(now + timedelta(days=days), token).status_code == 200
    assert _at(now + timedelta(days=331), token).status_code == 401


def test_a_token_that_was_issued_ends_when_it_was_said_to(cast: Cast, now: datetime) -> None:
    token = cast.client(cast.psychiatrist).token  # for an hour
    assert _at(now + 40 * MINUTE, token).status_code == 200
    assert _at(now + 61 * MINUTE, token).status_code == 401


def test_that_one_is_here_is_written_down_at_most_once_a_minute(cast: Cast, now: datetime) -> None:
    with time_machine.travel(now, tick=False):
        token = token_of(password(cast.patient))
    written = []
    for seconds in range(0, 125, 5):
        with CaptureQueriesContext(connection) as asked:
            assert _at(now + timedelta(seconds=seconds), token).status_code == 200
        written += [seconds for query in asked if "session_touch" in query["sql"]]
    assert written == [60, 120]
    with access.maintaining("test"):
        assert Session.objects.get(person=cast.patient).seen_at == now + timedelta(seconds=120)


def test_the_cookie_of_the_browser_lives_as_long_as_the_working_day(cast: Cast, now: datetime) -> None:
    enrol(cast.psychiatrist)
    client = Browser()
    with time_machine.travel(now, tick=False):
        client.post("/sign-in", {"login": cast.psychiatrist.email, "password": PASSWORD})
        assert client.cookies["sessionid"]["max-age"] == 3600, "not signed in yet"
        client.post("/second-factor", {"code": code()})
        assert client.cookies["sessionid"]["max-age"] == 12 * 3600
        assert client.get("/").status_code == 200
    for minutes, status in ((14, 200), (28, 200), (44, 302)):
        with time_machine.travel(now + minutes * MINUTE, tick=False):
            assert client.get("/").status_code == status, minutes


def test_who_was_away_for_too_long_comes_back_to_the_same_page(cast: Cast, now: datetime) -> None:
    enrol(cast.psychiatrist)
    client, page = Browser(), f"/patients/{cast.patient.id}?range=4w"
    with time_machine.travel(now, tick=False):
        client.post("/sign-in", {"login": cast.psychiatrist.email, "password": PASSWORD})
        client.post("/second-factor", {"code": code()})
    with time_machine.travel(now + 20 * MINUTE, tick=False):
        sent = client.get(page)
        assert sent["Location"].startswith("/sign-in?next=")
        step = client.post(sent["Location"], {"login": cast.psychiatrist.email, "password": PASSWORD, "next": page})
        assert step["Location"] == "/second-factor"
        assert client.post("/second-factor", {"code": code()})["Location"] == page
        assert client.get(page).status_code == 200


def test_a_session_that_somebody_else_laid_out_is_not_the_one_that_gets_signed_in(cast: Cast) -> None:
    enrol(cast.psychiatrist)
    client = Browser()
    client.get("/sign-in/passkey")  # makes a session before anyone signed in
    laid_out = client.cookies["sessionid"].value
    client.post("/sign-in", {"login": cast.psychiatrist.email, "password": PASSWORD})
    client.post("/second-factor", {"code": code()})
    signed_in = client.cookies["sessionid"].value
    assert signed_in != laid_out
    thief = Browser()
    thief.cookies["sessionid"] = laid_out
    assert thief.get("/").status_code == 302
    assert phone(laid_out).send("GET", "me").status_code == 401
    assert client.get("/").status_code == 200


def test_the_key_changes_when_a_second_factor_opens_more(cast: Cast) -> None:
    client = Browser()
    client.post("/sign-in", {"login": cast.psychiatrist.email, "password": PASSWORD})
    before = client.cookies["sessionid"].value
    page = client.get("/second-factor/set-up")
    secret = client.session["mfa.totp.secret"]
    assert page.status_code == 200
    from backend.accounts import second_factor

    done = client.post("/second-factor/set-up", {"code": second_factor.code_at(secret=secret, now=clock.now())})
    assert done.status_code == 302, done.content
    assert client.cookies["sessionid"].value != before
    assert phone(before).send("GET", "patients").status_code == 401
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("end", ["sign out", "password", "deactivated"])
def test_a_token_dies_at_once(cast: Cast, end: str) -> None:
    token = _staff(cast)
    assert phone(token).send("GET", "patients").status_code == 200
    if end == "sign out":
        assert phone(token).send("DELETE", "auth/app/v1/auth/session").status_code == 401
    elif end == "password":
        body = {"current_password": PASSWORD, "new_password": "a fresh long phrase"}
        assert phone(token).send("POST", "auth/app/v1/account/password/change", body).status_code in {200, 401}
    else:
        with access.maintaining("test"):
            Person.objects.filter(id=cast.psychiatrist.id).update(deactivated_at=clock.now())
    assert phone(token).send("GET", "patients").status_code == 401
    assert phone(token).send("GET", "auth/app/v1/auth/session").status_code in {401, 410}


def test_writes_by_cookie_need_the_token_of_the_form(cast: Cast) -> None:
    client = Browser(enforce_csrf_checks=True)
    with access.acting_as(cast.patient.id, None, "sign-in"):
        client.force_login(cast.patient)
    assert client.get("/api/v1/me").status_code == 200
    refused = client.patch("/api/v1/me", "{}", content_type="application/json")
    assert refused.status_code == 403
    client.get("/sign-out")
    value = client.cookies["csrftoken"].value
    headers = {"X-CSRFToken": value}
    assert client.patch("/api/v1/me", "{}", content_type="application/json", headers=headers).status_code == 200
    from_elsewhere = headers | {"Origin": "https://evil.example"}
    assert client.patch("/api/v1/me", "{}", content_type="application/json", headers=from_elsewhere).status_code == 403


@pytest.mark.parametrize(
    "path", ["/sign-in", "/sign-out", "/sign-in/again", "/sign-in/passkey", "/sign-ins", "/second-factor/set-up",
             "/second-factor/recovery-codes"],
)  # fmt: skip
def test_a_form_that_comes_from_elsewhere_is_refused(cast: Cast, path: str) -> None:
    client = Browser(enforce_csrf_checks=True)
    with access.acting_as(cast.psychiatrist.id, None, "sign-in"):
        client.force_login(cast.psychiatrist)
    client.get("/sign-out")
    right = {"csrfmiddlewaretoken": client.cookies["csrftoken"].value}
    assert client.post(path, {}).status_code == 403
    assert client.post(path, right, headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.post(path, right, headers={"Origin": "null"}).status_code == 403
    assert client.post(path, right, headers={"Origin": "http://testserver"}).status_code != 403


def test_a_cookie_that_is_missing_or_over_is_401_for_the_api(cast: Cast, now: datetime) -> None:
    nobody = Browser().get("/api/v1/me")
    assert (nobody.status_code, nobody["WWW-Authenticate"]) == (401, 'Bearer realm="afterglow"')
    assert nobody.json()["code"] == "not_authenticated"
    client = browser(cast.patient)
    with time_machine.travel(now + timedelta(days=100), tick=False):
        assert client.get("/api/v1/me").status_code == 401


def test_common_and_clinic_words_are_refused_as_passwords_wherever_one_is_chosen(cast: Cast) -> None:
    token = token_of(password(cast.patient))
    words = ("password123", "Ketamine2026!", "afterglow-demo", "K3t4m1ne-Cl1nic", "clinic mumbai 99", "12345678901")
    for n, chosen in enumerate(words):
        body = {"current_password": PASSWORD, "new_password": chosen}
        refused = phone(token).send("POST", "auth/app/v1/account/password/change", body)
        assert refused.status_code == 400, chosen
        joined = {"email": f"new{n}@example.org", "password": chosen, "invitation": "guess"}
        faults = Client().send("POST", "auth/app/v1/auth/signup", joined).json()["errors"]
        assert "password" in [fault.get("param") for fault in faults], chosen
