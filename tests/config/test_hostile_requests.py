"""Requests that mean harm: forged from other sites, in other content types, too many at once, made to take long."""

import importlib
import pkgutil
import re
import signal
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
import yaml
from django.test import Client as Browser

import backend
from backend.config import api_docs
from tests.aftercare.test_logs import BODIES
from tests.cast import PASSWORD, Cast
from tests.codes import code, enrol
from tests.config import addresses

ROOT = Path(__file__).resolve().parents[2]
ME = "mood-check-ins"


def _signed_in(cast: Cast, who: str) -> Browser:
    browser = Browser(enforce_csrf_checks=True)
    browser.get("/sign-in")
    sent = {
        "login": getattr(cast, who).email, "password": PASSWORD,
        "csrfmiddlewaretoken": browser.cookies["csrftoken"].value,
    }  # fmt: skip
    person = getattr(cast, who)
    if person != cast.patient:
        enrol(person)
    assert browser.post("/sign-in", sent).status_code == 302
    if person != cast.patient:
        token = browser.cookies["csrftoken"].value
        assert browser.post("/second-factor", {"code": code(), "csrfmiddlewaretoken": token}).status_code == 302
    return browser


# There a signed token in the body is the proof; who is signed in is not even looked at.
BY_TOKEN = {"/api/v1/notification-answers"}


def test_another_site_cannot_write_with_the_cookie_of_the_console(cast: Cast) -> None:
    browser, body = _signed_in(cast, "patient"), '{"felt_at": "2026-03-02T21:15:00Z", "time_zone": "UTC", "mood": 3}'
    tried = 0
    for route in addresses.routes():
        if not route.startswith("/api/v1/") or route.startswith("/api/v1/auth/") or route in BY_TOKEN:
            continue
        for verb in ("POST", "PUT", "PATCH", "DELETE"):
            for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
                answer = browser.generic(verb, addresses.filled(route), body, content_type=kind)
                refusals = {403, 405} if kind == "application/json" else {403, 405, 415}
                assert answer.status_code in refusals, (verb, route, kind, answer.status_code)
                tried += 1
    assert browser.post("/sign-out").status_code == 403
    print(f"forged requests with a cookie and without its token: {tried} refused of {tried}")


def test_only_json_is_a_body(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    path, body = f"/api/v1/{ME}/{uuid.uuid4()}", b'{"felt_at": "2026-03-02T21:15:00Z", "time_zone": "UTC", "mood": 3}'
    for kind in ("text/plain", "text/html", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                 "application/xml", "application/jsonp", "application/json-patch+json", ""):  # fmt: skip
        answer = phone.generic("PUT", path, body, content_type=kind)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type"), kind
    assert phone.generic("PUT", path, body, content_type="Application/JSON; charset=utf-8").status_code == 201


def test_nothing_of_a_body_or_an_address_is_answered_as_a_page(cast: Cast) -> None:
    phone, script = cast.client(cast.patient), "<script>alert(1)</script>"
    answers = [
        phone.send("PUT", f"{ME}/{uuid.uuid4()}", BODIES[ME] | {script: 1, "time_zone": script}),
        phone.send("GET", f"{ME}?{quote(script)}=1"),
        phone.send("GET", quote(script)),
        phone.send("GET", ME, Accept="text/html"),
    ]
    assert {answer["Content-Type"].partition(";")[0] for answer in answers} <= {
        "application/json", "application/problem+json",
    }  # fmt: skip
    page = _signed_in(cast, "psychiatrist").get("/", {"find": script, "show": script, "clinic": script})
    assert page.status_code == 200
    assert script not in page.content.decode()


def test_names_cannot_carry_a_header_into_a_mail(cast: Cast) -> None:
    boss = cast.client(cast.administrator)
    good = {"email": "new@example.org", "full_name": "New One", "role": "nurse"}
    for name, value in (
        ("full_name", "New\r\nBcc: all@example.org"),
        ("full_name", "New\nOne"),
        ("email", "new@example.org\nBcc: all@example.org"),
        ("email", "new@example.org, all@example.org"),
        ("email", "New <new@example.org>\r"),
    ):
        answer = boss.send("POST", "invitations", good | {name: value})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, f"/{name}")


@pytest.mark.parametrize("number", [1001, 20_000])
def test_more_parameters_than_anyone_needs_are_refused(cast: Cast, number: int) -> None:
    answer = cast.client(cast.patient).send("GET", f"{ME}?{'&'.join(f'a{n}=1' for n in range(number))}")
    assert answer.status_code == 400


@pytest.mark.parametrize("limit", ["501", "0", "-1", "9" * 30, "1e3", "0x10", "٣", "50 ", ""])
def test_no_list_is_longer_than_its_limit(cast: Cast, limit: str) -> None:
    phone, doctor = cast.client(cast.patient), cast.client(cast.psychiatrist)
    for client, path in ((phone, ME), (phone, "reminders"), (phone, "appointments"), (doctor, "patients")):
        answer = client.send("GET", f"{path}?limit={quote(limit)}")
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "limit")


def test_the_contract_is_made_once_however_often_and_differently_it_is_asked_for(database: str) -> None:
    api_docs._written.cache_clear()
    kinds = ("application/vnd.oai.openapi", "application/vnd.oai.openapi+json")
    answers = {kind: {Browser().get(f"/api/schema/?a={n}", headers={"Accept": kind}).content for n in range(20)}
               for kind in kinds}  # fmt: skip
    assert api_docs._written.cache_info().misses == 2, "half a second each, and a copy in memory"
    assert [len(contents) for contents in answers.values()] == [1, 1]
    assert orjson.loads(*answers[kinds[1]]) == yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())


def test_files_outside_are_not_served(database: str) -> None:
    for path in ("../settings.py", "..%2f..%2fmanage.py", "web/../../config/settings.py", "//etc/passwd", "web/%00.css",
                 "web%5c..%5c..%5cmanage.py", "demo/../../demo/cast.py"):  # fmt: skip
        for start in ("/static/", "/demo/mail/", "/favicon.ico/"):
            assert Browser().get(start + path).status_code == 404, start + path


def _patterns() -> dict[str, re.Pattern[Any]]:
    """Every pattern that meets what somebody sent: those of the contract, and those that a module keeps."""
    found: dict[str, re.Pattern[Any]] = {}

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if isinstance(part.get("pattern"), str):
                found[part["pattern"]] = re.compile(part["pattern"])
            for value in part.values():
                walk(value)
        elif isinstance(part, list):
            for value in part:
                walk(value)

    walk(yaml.safe_load((ROOT / "docs/openapi.yaml").read_text()))
    for module in pkgutil.walk_packages(backend.__path__, "backend."):
        if any(word in module.name for word in (".migrations", ".management", ".manage", ".wsgi", "backend.config.")):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, re.Pattern):
                found[f"{module.name}.{name}"] = value
    return found


@pytest.mark.slow
def test_no_pattern_can_be_made_to_think_for_long() -> None:
    hostile = [piece * 20_000 + end for piece in ("a", "0", "-", "/", "=", ";", ":", " ", "\n", "a-", "0:", "A=", "é")
               for end in ("!", "\x00", "")]  # fmt: skip
    slowest, where = 0.0, ""

    def too_long(*_: Any) -> None:
        raise AssertionError(f"{where} does not end")

    before = signal.signal(signal.SIGALRM, too_long)
    try:
        for where, pattern in _patterns().items():  # noqa: B007 - told when it does not end
            for text in hostile:
                subject = text.encode() if isinstance(pattern.pattern, bytes) else text
                signal.alarm(10)
                started = time.perf_counter()
                pattern.search(subject)
                slowest = max(slowest, time.perf_counter() - started)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    number, milliseconds = len(_patterns()), 1000 * slowest
    print(f"{number} patterns against {len(hostile)} texts of 20,000 letters: slowest {milliseconds:.0f} ms")
    assert slowest < 2
