"""Signing in: by invitation only, with a token that dies when it should."""

import re
import uuid
from typing import Any

from backend.accounts import access, people
from backend.accounts.models import Membership, OutboxMail, Person, Role
from backend.common import clock
from tests.cast import PASSWORD, Cast, Client

LOGIN = "auth/app/v1/auth/login"
SIGNUP = "auth/app/v1/auth/signup"
SESSION = "auth/app/v1/auth/session"


def _sign_in(person: Person, password: str = PASSWORD) -> Any:
    return Client().send("POST", LOGIN, {"email": person.email, "password": password})


def _with(token: str) -> Client:
    client = Client()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def test_a_phone_signs_in_and_uses_its_token_everywhere(cast: Cast) -> None:
    answer = _sign_in(cast.patient)
    assert answer.status_code == 200, answer.content
    token = answer.json()["meta"]["session_token"]
    assert _with(token).send("GET", "mood-check-ins").status_code == 200
    assert _with(token).send("GET", SESSION).json()["meta"]["is_authenticated"] is True
    other_header = Client()
    other_header.credentials(HTTP_X_SESSION_TOKEN=token)
    assert other_header.send("GET", "mood-check-ins").status_code == 200


def test_a_token_dies_at_sign_out(cast: Cast) -> None:
    token = _sign_in(cast.patient).json()["meta"]["session_token"]
    assert _with(token).send("DELETE", SESSION).status_code == 401  # allauth's word for: now signed out
    dead = _with(token).send("GET", "mood-check-ins")
    assert (dead.status_code, dead["WWW-Authenticate"]) == (401, 'Bearer realm="afterglow"')


def test_all_tokens_die_when_the_password_changes(cast: Cast) -> None:
    token = _sign_in(cast.patient).json()["meta"]["session_token"]
    with access.acting_as(cast.patient.id, None, "test"):
        cast.patient.set_password("quite another phrase")
        cast.patient.save(update_fields=["password"])
    assert _with(token).send("GET", "mood-check-ins").status_code == 401


def test_a_person_who_was_deactivated_is_out_at_once(cast: Cast) -> None:
    token = _sign_in(cast.patient).json()["meta"]["session_token"]
    with access.acting_as(cast.patient.id, None, "test"):
        Person.objects.filter(id=cast.patient.id).update(deactivated_at=clock.now())
    assert _with(token).send("GET", "mood-check-ins").status_code == 401


def test_wrong_tokens_are_401_and_never_500(cast: Cast) -> None:
    for token in ("", "x", "é", "a" * 10_000, "'; DROP TABLE", "%00", "null"):
        client = Client()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        assert client.send("GET", "mood-check-ins").status_code == 401, token


def test_known_and_unknown_addresses_get_the_same_answer(cast: Cast) -> None:
    known = _sign_in(cast.patient, "not the password")
    unknown = Client().send("POST", LOGIN, {"email": "nobody@example.org", "password": "not the password"})
    assert known.status_code == unknown.status_code == 400
    assert known.json() == unknown.json()


def test_sign_in_bodies_that_are_no_json_are_refused(cast: Cast) -> None:
    for body in (b"[" * 200_000, b"\xff", b"NaN", b'{"email": "a\\u0000@b.c", "password": "\\u0000"}', b"[]", b"null"):
        answer = Client().generic("POST", f"/api/v1/{LOGIN}", body, content_type="application/json")
        assert answer.status_code == 400, (body[:20], answer.status_code)


def test_nobody_signs_up_without_an_invitation(cast: Cast) -> None:
    for body in ({}, {"invitation": ""}, {"invitation": "guessed"}):
        answer = Client().send("POST", SIGNUP, {"email": "new@example.org", "password": "a long new phrase"} | body)
        assert answer.status_code == 400
    with access.maintaining("test"):
        assert not Person.objects.filter(email="new@example.org").exists()


def test_someone_with_two_clinics_says_for_which_one_they_act(cast: Cast) -> None:
    with access.maintaining("test"):
        people.join(person=cast.psychiatrist, clinic=cast.elsewhere, role=Role.PSYCHIATRIST, now=clock.now())
    doctor = cast.client(cast.psychiatrist)
    assert doctor.send("GET", "patients").json()["code"] == "clinic_required"
    here = doctor.send("GET", "patients", **{"X-Clinic": str(cast.clinic.id)})
    assert {row["id"] for row in here.json()["results"]} == {str(cast.patient.id), str(cast.other_patient.id)}
    there = doctor.send("GET", "patients", **{"X-Clinic": str(cast.elsewhere.id)})
    assert there.json()["results"] == []
    assert doctor.send("GET", f"patients/{cast.patient.id}", **{"X-Clinic": str(cast.elsewhere.id)}).status_code == 404
    assert doctor.send("GET", "patients", **{"X-Clinic": str(uuid.uuid4())}).status_code == 403
    assert doctor.send("GET", "patients", **{"X-Clinic": "Mumbai"}).status_code == 400


def test_a_membership_that_ended_opens_nothing(cast: Cast) -> None:
    with access.maintaining("test"):
        Membership.objects.filter(person=cast.psychiatrist).update(ended_at=clock.now())
    assert cast.client(cast.psychiatrist).send("GET", f"patients/{cast.patient.id}").status_code == 403
    assert cast.client(cast.psychiatrist).send("GET", "patients").status_code == 403


def test_a_forgotten_password_is_reset_by_a_code_in_the_mail(cast: Cast) -> None:
    asked = Client().send("POST", "auth/app/v1/auth/password/request", {"email": cast.patient.email})
    unknown = Client().send("POST", "auth/app/v1/auth/password/request", {"email": "nobody@example.org"})
    assert asked.status_code == unknown.status_code == 401, asked.content  # allauth's word for: now enter the code
    with access.maintaining("test"):
        (mail,) = OutboxMail.objects.all()
    assert mail.recipient == cast.patient.email
    assert mail.subject == "Your code for a new password"
    assert mail.text.startswith("You asked to choose a new password for Afterglow.")
    assert "!" not in mail.text
    code = re.search(r"^    ([A-Z0-9-]{6,})$", mail.text, re.MULTILINE)
    assert code, mail.text
    phone = Client()
    phone.credentials(HTTP_X_SESSION_TOKEN=asked.json()["meta"]["session_token"])
    reset = phone.send("POST", "auth/app/v1/auth/password/reset", {"key": code[1], "password": "a fresh long phrase"})
    assert reset.status_code in {200, 401}, reset.content
    assert _sign_in(cast.patient, "a fresh long phrase").status_code == 200
    assert _sign_in(cast.patient).status_code == 400


def test_a_password_that_was_reset_opens_at_once_after_too_many_attempts(cast: Cast) -> None:
    for n in range(6):
        _sign_in(cast.patient, f"wrong phrase {n}")
    asked = Client().send("POST", "auth/app/v1/auth/password/request", {"email": cast.patient.email})
    with access.maintaining("test"):
        code = re.search(r"^ *([A-Z0-9-]{6,})$", OutboxMail.objects.get().text, re.MULTILINE)
    assert code
    phone = Client()
    phone.credentials(HTTP_X_SESSION_TOKEN=asked.json()["meta"]["session_token"])
    phone.send("POST", "auth/app/v1/auth/password/reset", {"key": code[1], "password": "a fresh long phrase"})
    assert _sign_in(cast.patient, "a fresh long phrase").status_code == 200


def test_ways_that_nobody_here_takes_do_not_exist(cast: Cast) -> None:
    for verb in ("GET", "POST"):
        assert cast.client(cast.patient).send(verb, "auth/app/v1/account/phone").status_code == 404
