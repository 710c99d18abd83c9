"""The limits of signing in, and what a refusal tells: the same to everyone, with or without the cache."""

import os
import statistics
import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.cache import cache
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from backend.accounts import access, attempts
from backend.accounts.models import OutboxMail, Person, SignInAttempt
from backend.common import clock
from tests.cast import PASSWORD, Cast, Client

LOGIN = "auth/app/v1/auth/login"
RESET = "auth/app/v1/auth/password/request"
NOBODY_THERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def no_cache(settings: Any) -> None:
    """The cache is away: nothing listens at its address."""
    settings.CACHES = settings.CACHES | {"default": settings.CACHES["default"] | {"LOCATION": NOBODY_THERE}}


def _app(email: str, password: str) -> Any:
    return Client().send("POST", LOGIN, {"email": email, "password": password})


def _browser(email: str, password: str) -> Any:
    return Browser().post("/sign-in", {"login": email, "password": password})


def test_the_app_is_locked_by_attempt_six_and_told_when_to_come_back(cast: Cast) -> None:
    answers = [_app(cast.patient.email, f"wrong phrase {n}") for n in range(6)]
    assert [answer.status_code for answer in answers] == [400] * 5 + [429]
    assert answers[-1]["Retry-After"] == "300"
    (fault,) = answers[-1].json()["errors"]
    assert (fault["code"], "Wait five minutes" in fault["message"]) == ("too_many_login_attempts", True)
    assert _app(cast.patient.email, PASSWORD).status_code == 429


def test_an_address_that_nobody_has_is_locked_just_the_same(cast: Cast) -> None:
    for email in (cast.patient.email, "nobody@example.org"):
        answers = [_app(email, f"wrong phrase {n}") for n in range(6)]
        assert [answer.status_code for answer in answers] == [400] * 5 + [429], email
        cache.clear()  # the limit of the address that asks is not what is tried here


def test_the_lock_ends_after_five_minutes(cast: Cast) -> None:
    now = clock.now()
    with time_machine.travel(now, tick=False):
        for n in range(6):
            _app(cast.patient.email, f"wrong phrase {n}")
    with time_machine.travel(now + timedelta(minutes=5, seconds=1), tick=False):
        assert _app(cast.patient.email, PASSWORD).status_code == 200
        with access.maintaining("test"):
            assert not SignInAttempt.objects.exists()


def test_right_passwords_do_not_count(cast: Cast) -> None:
    assert [_app(cast.patient.email, PASSWORD).status_code for _ in range(7)] == [200] * 7


def test_the_lock_stands_when_the_cache_was_emptied(cast: Cast) -> None:
    for n in range(5):
        cache.clear()
        assert _app(cast.patient.email, f"wrong phrase {n}").status_code == 400
    cache.clear()
    assert _app(cast.patient.email.upper(), PASSWORD).status_code == 429
    assert _browser(cast.patient.email, PASSWORD).status_code == 429


@pytest.mark.usefixtures("no_cache")
def test_without_the_cache_people_sign_in_and_the_sixth_attempt_is_locked_all_the_same(cast: Cast) -> None:
    assert _app(cast.patient.email, PASSWORD).status_code == 200
    assert _browser(cast.psychiatrist.email, PASSWORD).status_code == 302
    assert [_app(cast.patient.email, f"wrong phrase {n}").status_code for n in range(6)] == [400] * 5 + [429]
    assert [_browser(cast.psychiatrist.email, f"wrong {n}").status_code for n in range(6)] == [200] * 5 + [429]


def test_someone_who_was_deactivated_is_answered_as_with_a_wrong_password(cast: Cast) -> None:
    wrong = _app(cast.patient.email, "wrong phrase")
    with access.maintaining("test"):
        Person.objects.filter(id=cast.patient.id).update(deactivated_at=clock.now())
    answers = [_app(cast.patient.email, PASSWORD) for _ in range(5)]
    assert (answers[0].status_code, answers[0].json()) == (wrong.status_code, wrong.json())
    assert answers[-1].status_code == 429  # it counts, too
    page = _browser(cast.other_patient.email, "wrong phrase")
    with access.maintaining("test"):
        Person.objects.filter(id=cast.other_patient.id).update(deactivated_at=clock.now())
    again = _browser(cast.other_patient.email, PASSWORD)
    assert again.status_code == page.status_code == 200
    assert "do not belong together" in again.content.decode()


@pytest.mark.slow
def test_one_network_that_tries_many_addresses_is_locked_too(cast: Cast) -> None:
    with time_machine.travel(clock.now(), tick=False):
        tried = range(attempts.ALLOWED_FROM_A_NETWORK)
        assert {_app(f"nobody{n}@example.org", "wrong phrase").status_code for n in tried} == {400}
        locked = _app(cast.patient.email, PASSWORD)
        assert (locked.status_code, locked["Retry-After"]) == (429, "300")


@pytest.mark.slow
def test_behind_a_trusted_proxy_each_network_counts_for_itself(cast: Cast, settings: Any) -> None:
    settings.TRUSTED_PROXY_COUNT = 1
    body = {"email": "nobody@example.org", "password": "wrong phrase"}
    for n in range(attempts.ALLOWED_FROM_A_NETWORK):
        body["email"] = f"nobody{n}@example.org"
        Client().send("POST", LOGIN, body, **{"X-Forwarded-For": f"198.51.100.{n}, 203.0.113.7"})
    right = {"email": cast.patient.email, "password": PASSWORD}
    assert Client().send("POST", LOGIN, right, **{"X-Forwarded-For": "203.0.113.7"}).status_code == 429
    assert Client().send("POST", LOGIN, right, **{"X-Forwarded-For": "203.0.113.8"}).status_code == 200


@pytest.mark.parametrize("away", [False, True])
def test_asking_for_a_new_password_is_locked_by_attempt_six_whoever_is_asked_for(
    cast: Cast, away: bool, request: pytest.FixtureRequest
) -> None:
    if away:
        request.getfixturevalue("no_cache")
    for email in (cast.patient.email, "nobody@example.org"):
        answers = [Client().send("POST", RESET, {"email": email}) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [401] * 5 + [429], email
        assert answers[-1]["Retry-After"]


def test_asking_for_a_new_password_does_the_same_work_for_everyone(cast: Cast) -> None:
    def statements(email: str) -> list[str]:
        with CaptureQueriesContext(connection) as asked:
            Client().send("POST", RESET, {"email": email})
        return [query["sql"].split()[0] for query in asked if "outboxmail" in query["sql"]]

    assert statements(cast.patient.email) == statements("nobody@example.org") == ["INSERT"]
    with access.maintaining("test"):
        assert [mail.recipient for mail in OutboxMail.objects.all()] == [cast.patient.email]


def test_the_password_of_an_unknown_address_is_hashed_as_well(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[str] = []
    encode = PBKDF2PasswordHasher.encode

    def counted(self: Any, password: str, *more: Any, **options: Any) -> str:
        worked.append(password)
        return str(encode(self, password, *more, **options))

    monkeypatch.setattr(PBKDF2PasswordHasher, "encode", counted)
    for email in (cast.patient.email, "nobody@example.org"):
        worked.clear()
        assert _app(email, "wrong phrase").status_code == 400
        assert worked == ["wrong phrase"], email


@pytest.mark.skipif(not os.environ.get("TORTURE"), reason="times are compared by `make torture`")
def test_known_and_unknown_addresses_take_the_same_time(cast: Cast) -> None:
    times: dict[str, list[float]] = {cast.patient.email: [], "nobody@example.org": []}
    for _ in range(21):
        for email, taken in times.items():  # in turns, so that whatever else the machine does falls on both
            with access.maintaining("test"):
                SignInAttempt.objects.all().delete()
            began = time.perf_counter()
            _app(email, "wrong phrase")
            taken.append(time.perf_counter() - began)
    known, unknown = (statistics.median(taken) for taken in times.values())
    print(f"sign-in, wrong password: known {known * 1000:.0f} ms, unknown {unknown * 1000:.0f} ms")
    assert 0.8 < known / unknown < 1.25
