"""Every answer carries the strict headers, whoever made it; what is personal is kept by no cache."""

import re
from typing import Any

import pytest
from django.test import Client as Browser

from backend.config import about, headers
from tests.cast import PASSWORD, Cast
from tests.codes import code, enrol
from tests.config import addresses

VERBS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
# What may be kept by a cache: nothing in it is about a person.
CACHEABLE = {"/api/schema/"}
# The two pages that need more than the rest, and what (docs/threat-model.md).
INLINE_STYLES = {"/api/docs/", "/demo/mail/<str:key>/html"}


def _check(answer: Any, path: str) -> None:
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy, path
    assert not re.search(r"script-src[^;]*unsafe|\*|unsafe-eval", policy), (path, policy)
    assert ("unsafe-inline" in policy) <= (path in INLINE_STYLES), path
    assert answer["X-Content-Type-Options"] == "nosniff", path
    assert answer["Referrer-Policy"] == "same-origin", path
    assert answer["Permissions-Policy"] == headers.PERMISSIONS, path
    assert answer["Cross-Origin-Opener-Policy"] == answer["Cross-Origin-Resource-Policy"] == "same-origin", path
    assert answer["X-Frame-Options"] in {"DENY", "SAMEORIGIN" if path in INLINE_STYLES else "DENY"}, path
    assert "Access-Control-Allow-Origin" not in answer, path
    assert answer["X-Request-Id"], path
    if path not in CACHEABLE:
        assert "no-store" in answer["Cache-Control"], path


@pytest.mark.slow
@pytest.mark.parametrize("who", ["nobody", "patient", "psychiatrist", "administrator"])
def test_every_address_answers_every_verb_with_all_of_them(cast: Cast, who: str) -> None:
    browser = Browser(raise_request_exception=False)
    person = getattr(cast, who, None)
    if person is not None:
        if person != cast.patient:
            enrol(person)
        assert browser.post("/sign-in", {"login": person.email, "password": PASSWORD}).status_code == 302
        assert person == cast.patient or browser.post("/second-factor", {"code": code()}).status_code == 302
        bearer = {"HTTP_AUTHORIZATION": f"Bearer {cast.client(person).token}"}
    else:
        bearer = {}
    answers = 0
    for route in addresses.routes():
        if route == "/sign-out" or (route.startswith("/api/v1/auth/") and person is not None):
            continue  # would end the session under test
        for verb in VERBS:
            extra = bearer if route.startswith("/api/") else {}
            answer = browser.generic(verb, addresses.filled(route), b"{}", content_type="application/json", **extra)
            assert answer.status_code < 500, (verb, route)
            _check(answer, route)
            answers += 1
    print(f"{who}: strict headers on {answers} answers of {len(addresses.routes())} addresses")


def test_refusals_before_any_view_carry_them_too(cast: Cast) -> None:
    browser = Browser(raise_request_exception=False)
    refused = [
        (browser.get("/nowhere"), 404),
        (browser.get("/api/v1/nowhere"), 404),
        (browser.generic("POST", "/api/v1/mood-check-ins/batch", b"x" * 6_000_000, "application/json"), 413),
        (browser.get("/", HTTP_HOST="elsewhere.example.org"), 400),
        (browser.get("/api/v1/", HTTP_HOST="elsewhere.example.org"), 400),
        (browser.post("/sign-out", HTTP_X_FORWARDED_FOR="x"), 302),
        (Browser(enforce_csrf_checks=True).post("/sign-in", {"login": "a@example.org", "password": "b"}), 403),
        (browser.generic("TRACE", "/healthz"), 405),
        (browser.generic("PROPFIND", "/api/v1/"), 405),
    ]
    for answer, status in refused:
        assert answer.status_code == status
        _check(answer, answer.request["PATH_INFO"])


def test_an_error_of_ours_carries_them_and_tells_nothing(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise ValueError("canary@example.org")

    monkeypatch.setattr(about.About, "get", fails)
    answer = Browser(raise_request_exception=False).get("/api/v1/")
    assert (answer.status_code, answer.json()["code"]) == (500, "server_error")
    assert b"canary" not in answer.content
    _check(answer, "/api/v1/")


def test_static_files_carry_them_and_may_be_kept(database: str) -> None:
    answer = Browser().get("/static/web/base.css")
    assert answer.status_code == 200
    assert "max-age" in answer["Cache-Control"]
    assert all(answer[name] == value for name, value in headers.STRICT.items() if name != "Cache-Control")
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    answer.close()


def test_no_verb_can_be_smuggled_in_as_another(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    for name in ("X_HTTP_Method_Override", "X_HTTP_Method", "X_Method_Override"):
        assert phone.send("POST", "patients", {}, **{name: "GET"}).status_code in {403, 405}
    assert phone.send("POST", "patients?_method=GET", {}).status_code in {403, 405}


def test_over_https_browsers_are_told_to_stay_there(settings: Any, database: str) -> None:
    settings.SECURE_HSTS_SECONDS, settings.SECURE_SSL_REDIRECT = 31_536_000, True
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = settings.SECURE_HSTS_PRELOAD = True
    for answer, status in ((Browser().get("/api/v1/"), 301), (Browser().get("/api/v1/", secure=True), 200)):
        assert answer.status_code == status
        assert answer["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
        _check(answer, "/api/v1/")


def test_cookies_are_kept_from_scripts_and_other_sites(cast: Cast) -> None:
    browser = Browser()
    browser.get("/sign-in")
    browser.post("/sign-in", {"login": cast.psychiatrist.email, "password": PASSWORD})
    assert set(browser.cookies) == {"sessionid", "csrftoken", "browser"}
    for cookie in browser.cookies.values():
        assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (True, "Lax", "/", "")


def test_a_page_leads_nowhere_but_to_this_site(cast: Cast) -> None:
    for target in ("https://evil.example.org/", "//evil.example.org/", "/\\evil.example.org", "javascript:alert(1)",
                   "https:evil.example.org", "http:///evil.example.org", "\x00//evil.example.org"):  # fmt: skip
        browser = Browser()
        answer = browser.post(
            f"/sign-in?next={target}", {"login": cast.psychiatrist.email, "password": PASSWORD, "next": target}
        )
        assert (answer.status_code, answer["Location"]) == (302, "/"), target
    answer = Browser().get("//evil.example.org/..")
    assert "evil" not in answer.get("Location", "")


def test_the_request_is_told_apart_from_its_neighbours_by_nothing_a_client_may_choose_freely() -> None:
    for given in ("a\r\nSet-Cookie: x=1", "<script>", "x" * 65, "ünlich-12345"):
        try:
            answer = Browser().get("/healthz", headers={"X-Request-Id": given})
        except ValueError:
            continue  # the test client itself refuses it
        assert answer["X-Request-Id"] != given
