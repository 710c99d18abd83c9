"""The limits of signing in, and what a refusal tells: the same to everyone, with or without the cache."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client as Browser

from backend.accounts import access
from backend.accounts.models import Person, Session, SignInAttempt
from backend.common import clock
from tests.cast import PASSWORD, Cast, Client

LOGIN = "auth/app/v1/auth/login"
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


@pytest.mark.parametrize("sign_in", [_app, _browser])
def test_staff_are_signed_out_after_half_a_day_and_patients_after_90_days(cast: Cast, sign_in: Any) -> None:
    now = clock.now()
    for person, lifetime in ((cast.psychiatrist, timedelta(hours=12)), (cast.patient, timedelta(days=90))):
        sign_in(person.email, PASSWORD)
        with access.maintaining("test"):
            lives = Session.objects.get(person=person).expire_date - now
        assert lifetime <= lives < lifetime + timedelta(minutes=1)
