"""Invitations: the only way in, once, for one address; and the way into a second clinic."""

import re
import threading
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connections

from backend.accounts import access, invitations, people
from backend.accounts.models import CareTeamMember, Invitation, Membership, OutboxMail, Person, Role, Session
from backend.common import clock
from tests.cast import PASSWORD, Cast, Client

SIGNUP = "auth/app/v1/auth/signup"
ACCEPT = "invitations/accept"
PHRASE = "a long new phrase"


def signed_in(token: str) -> Client:
    """A phone with this token."""
    client = Client()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def _invite(cast: Cast, **more: Any) -> Any:
    body = {
        "email": "New@example.org", "full_name": "New Patient", "role": "patient", "born_on": "1990-05-01",
        "time_zone": "Asia/Kolkata", "care_team": [str(cast.psychiatrist.id)],
    }  # fmt: skip
    return cast.client(cast.administrator).send("POST", "invitations", body | more)


def _code() -> str:
    with access.maintaining("test"):
        found = re.search(r"^    (\S+)$", OutboxMail.objects.latest("created_at").text, re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize("address", ["new@example.org\n", "new@example", "a b@example.org", "new@@example.org", ""])
def test_what_is_no_address_is_refused_at_its_field_and_nobody_is_invited(cast: Cast, address: str) -> None:
    refused = _invite(cast, email=address)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/email")
    sister = {"email": address, "full_name": "Meera Rao", "shares": ["mood"]}
    refused = cast.client(cast.patient).send("POST", "me/caregivers", sister)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/email")
    with access.maintaining("test"):
        assert not Invitation.objects.exists()


def test_an_invitation_works_once_for_its_address(cast: Cast) -> None:
    made = _invite(cast)
    assert made.status_code == 201, made.content
    assert "code" not in made.json()
    body = {"email": "new@example.org", "password": "a long new phrase", "invitation": _code()}
    assert Client().send("POST", SIGNUP, body | {"email": "thief@example.org"}).status_code == 400
    joined = Client().send("POST", SIGNUP, body)
    assert joined.status_code == 200, joined.content
    phone = signed_in(joined.json()["meta"]["session_token"])
    assert phone.send("GET", "mood-check-ins").json()["results"] == []
    with access.maintaining("test"):
        person = Person.objects.get(email="new@example.org")
        assert (person.full_name, person.time_zone, person.born_on) == ("New Patient", "Asia/Kolkata", date(1990, 5, 1))
    assert cast.client(cast.psychiatrist).send("GET", f"patients/{person.id}").status_code == 200
    assert cast.client(cast.outsider).send("GET", f"patients/{person.id}").status_code == 404
    assert Client().send("POST", SIGNUP, body | {"email": "new@example.org"}).status_code in {400, 401}
    status = cast.client(cast.administrator).send("GET", f"invitations/{made.json()['id']}").json()["status"]
    assert status == "accepted"


def test_an_invitation_expires_and_can_be_taken_back(cast: Cast) -> None:
    first = _invite(cast).json()
    body = {"email": "new@example.org", "password": "a long new phrase", "invitation": _code()}
    assert cast.client(cast.administrator).send("DELETE", f"invitations/{first['id']}").status_code == 204
    assert Client().send("POST", SIGNUP, body).status_code == 400
    second = _invite(cast).json()
    body["invitation"] = _code()
    with access.maintaining("test"):
        Invitation.objects.filter(id=second["id"]).update(expires_at=clock.now() - timedelta(seconds=1))
    assert Client().send("POST", SIGNUP, body).status_code == 400
    listed = cast.client(cast.administrator).send("GET", "invitations").json()["results"]
    assert [row["status"] for row in listed] == ["expired", "revoked"]


def test_invitations_are_for_adults_and_for_the_own_clinic(cast: Cast) -> None:
    young = clock.now().date() - timedelta(days=365 * 17)
    for more, pointer in (
        ({"born_on": young.isoformat()}, "/born_on"),
        ({"born_on": None}, "/born_on"),
        ({"care_team": [str(cast.outsider.id)]}, "/care_team"),
        ({"role": "king"}, "/role"),
        ({"email": "no address"}, "/email"),
    ):
        answer = _invite(cast, **more)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer), answer.content
    assert _invite(cast, email=cast.patient.email).status_code == 409
    assert _invite(cast, time_zone=None).status_code == 201
    for stranger in (cast.patient, cast.psychiatrist, cast.outsider):
        assert cast.client(stranger).send("GET", "invitations").status_code == 403
        assert cast.client(stranger).send("POST", "invitations", {}).status_code == 403


def _sign_up(email: str, code: str) -> Any:
    client = Client()
    client.raise_request_exception = False
    return client.send("POST", SIGNUP, {"email": email, "password": PHRASE, "invitation": code})


def test_a_clinician_who_left_meanwhile_is_not_in_the_way(cast: Cast) -> None:
    assert _invite(cast, care_team=[str(cast.therapist.id), str(cast.psychiatrist.id)]).status_code == 201
    with access.maintaining("test"):
        Membership.objects.filter(person=cast.therapist).update(ended_at=clock.now())
    assert _sign_up("new@example.org", _code()).status_code == 200
    with access.maintaining("test"):
        assert CareTeamMember.objects.get(patient__email="new@example.org").member == cast.psychiatrist


def _at_the_same_time(*acts: Callable[[], Any]) -> list[Any]:
    answers: list[Any] = []

    def do(act: Callable[[], Any]) -> None:
        try:
            answers.append(act())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=do, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _accepting(code: str, email: str, gate: threading.Barrier) -> str:
    """What signing up does, with all who do it together between finding the invitation and taking it."""
    with access.acting_as(None, None, "sign-in", key=email):
        found = invitations.find(code=code, email=email, now=clock.now())
    gate.wait(20)
    try:
        with access.acting_as(None, found.clinic_id, "sign-in"):
            invitations.accept(invitation=found, password=PHRASE, now=clock.now())
    except invitations.NotInvited:
        return "not invited"
    return "joined"


def test_the_same_code_twice_at_once_lets_one_in(cast: Cast) -> None:
    _invite(cast)
    code, gate = _code(), threading.Barrier(2)
    answers = _at_the_same_time(*[lambda: _accepting(code, "new@example.org", gate)] * 2)
    assert sorted(answers) == ["joined", "not invited"]


def test_two_invitations_of_one_address_at_once_make_one_person(cast: Cast) -> None:
    other = {"role": "nurse", "born_on": None, "care_team": []}
    codes = [_invite(cast, **more) and _code() for more in ({}, other)]
    gate = threading.Barrier(2)
    answers = _at_the_same_time(*[lambda code=code: _accepting(code, "new@example.org", gate) for code in codes])
    assert sorted(answers) == ["joined", "not invited"]


def test_the_form_answers_400_to_an_invitation_that_was_taken_in_this_moment(cast: Cast) -> None:
    _invite(cast)
    code = _code()
    answers = _at_the_same_time(*[lambda: _sign_up("new@example.org", code).status_code] * 3)
    assert sorted(answers) == [200, 400, 400]


@pytest.mark.parametrize("change", ["revoked_at", "expires_at"])
def test_an_invitation_that_ended_after_it_was_found_lets_nobody_in(cast: Cast, change: str) -> None:
    _invite(cast)
    code = _code()
    with access.acting_as(None, None, "sign-in", key="new@example.org"):
        found = invitations.find(code=code, email="new@example.org", now=clock.now())
    with access.maintaining("test"):
        Invitation.objects.filter(id=found.id).update(**{change: clock.now()})
    with access.maintaining("test"), pytest.raises(invitations.NotInvited):
        invitations.accept(invitation=found, password=PHRASE, now=clock.now())


def test_an_invitation_that_was_accepted_is_not_revoked(cast: Cast) -> None:
    id = _invite(cast).json()["id"]
    assert _sign_up("new@example.org", _code()).status_code == 200
    revoked = cast.client(cast.administrator).send("DELETE", f"invitations/{id}")
    assert (revoked.status_code, revoked.json()["code"]) == (409, "already_accepted")
    with access.maintaining("test"):
        assert Invitation.objects.get(id=id).revoked_at is None


def test_an_administrator_cannot_tell_who_has_an_account_in_another_clinic(cast: Cast) -> None:
    known = _invite(cast, email=cast.outside_patient.email)
    unknown = _invite(cast, email="nobody@nowhere.org")
    assert known.status_code == unknown.status_code == 201
    assert known.json().keys() == unknown.json().keys()
    assert _invite(cast, email=cast.patient.email).status_code == 409  # a member of this very clinic


def test_someone_with_an_account_accepts_an_invitation_of_a_second_clinic(cast: Cast) -> None:
    _invite(cast, email=cast.outside_patient.email)
    with access.maintaining("test"):
        assert "sign in" in OutboxMail.objects.latest("created_at").text
    code = _code()
    phone = cast.client(cast.outside_patient)
    first, second = phone.send("POST", ACCEPT, {"code": code}), phone.send("POST", ACCEPT, {"code": code})
    assert first.status_code == second.status_code == 200, first.content
    assert first.json() == second.json()
    assert (first.json()["clinic"], first.json()["role"]) == (str(cast.clinic.id), "patient")
    with access.maintaining("test"):
        assert Membership.objects.filter(person=cast.outside_patient, clinic=cast.clinic).count() == 1
        assert Person.objects.get(id=cast.outside_patient.id).full_name == cast.outside_patient.full_name
    assert cast.client(cast.psychiatrist).send("GET", f"patients/{cast.outside_patient.id}").status_code == 200


def test_only_the_invited_accept_with_their_account_and_only_while_it_is_open(cast: Cast) -> None:
    id = _invite(cast, email=cast.outside_patient.email).json()["id"]
    code = _code()
    for person, sent in ((cast.patient, code), (cast.outside_patient, "guessed"), (cast.outside_patient, "é\ud800")):
        answer = cast.client(person).send("POST", ACCEPT, {"code": sent})
        assert answer.status_code == 400, answer.content
    assert Client().send("POST", ACCEPT, {"code": code}).status_code == 401
    cast.client(cast.administrator).send("DELETE", f"invitations/{id}")
    answer = cast.client(cast.outside_patient).send("POST", ACCEPT, {"code": code})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/code")


def test_a_code_that_was_used_gives_nothing_back_after_the_membership_ended(cast: Cast) -> None:
    _invite(cast, email=cast.outside_patient.email)
    code, phone = _code(), cast.client(cast.outside_patient)
    assert phone.send("POST", ACCEPT, {"code": code}).status_code == 200
    with access.maintaining("test"):
        Membership.objects.filter(person=cast.outside_patient, clinic=cast.clinic).update(ended_at=clock.now())
    assert phone.send("POST", ACCEPT, {"code": code}).status_code == 400


def test_who_has_an_account_is_told_to_sign_in_and_makes_no_second_one(cast: Cast) -> None:
    _invite(cast, email=cast.outside_patient.email)
    code = _code()
    guessed, right = _sign_up(cast.outside_patient.email, "guessed"), _sign_up(cast.outside_patient.email, code)
    assert guessed.status_code == right.status_code == 400
    # Only the code tells that there is an account.
    assert guessed.json() == _sign_up("nobody@example.org", "guessed").json()
    assert "sign in" in right.json()["errors"][0]["message"]


def test_sessions_of_a_patient_who_becomes_staff_end_when_those_of_staff_do(cast: Cast) -> None:
    client = Client()
    client.send("POST", "auth/app/v1/auth/login", {"email": cast.outside_patient.email, "password": PASSWORD})
    _invite(cast, email=cast.outside_patient.email, role="nurse", born_on=None, care_team=[])
    cast.client(cast.outside_patient).send("POST", ACCEPT, {"code": _code()})
    with access.maintaining("test"):
        lives = [row.expire_date - clock.now() for row in Session.objects.filter(person=cast.outside_patient)]
    assert len(lives) == 2
    assert max(lives) <= timedelta(hours=12)


def test_nobody_is_put_on_their_own_care_team(cast: Cast) -> None:
    with access.maintaining("test"):
        people.join(person=cast.psychiatrist, clinic=cast.clinic, role=Role.PATIENT, now=clock.now())
    answer = cast.client(cast.administrator).send(
        "POST", f"patients/{cast.psychiatrist.id}/care-team", {"member": str(cast.psychiatrist.id)}
    )
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/member")


def test_an_invitation_that_is_sent_again_closes_the_older_one(cast: Cast) -> None:
    first, second = [(_invite(cast).json()["id"], _code()) for _ in range(2)]
    administrator = cast.client(cast.administrator)
    assert administrator.send("GET", f"invitations/{first[0]}").json()["status"] == "revoked"
    assert _sign_up("new@example.org", first[1]).status_code == 400
    assert _sign_up("new@example.org", second[1]).status_code == 200


def test_of_many_that_are_sent_at_once_one_stays_open(cast: Cast) -> None:
    gate = threading.Barrier(4)

    def send() -> int:
        gate.wait()
        return int(_invite(cast).status_code)

    assert _at_the_same_time(*[send] * 4) == [201] * 4
    with access.maintaining("test"):
        assert Invitation.objects.filter(revoked_at=None, accepted_at=None).count() == 1


def test_guessing_codes_of_an_invitation_is_locked_by_attempt_six(cast: Cast) -> None:
    _invite(cast)
    code = _code()
    answers = [_sign_up("new@example.org", f"guess {n}") for n in range(6)]
    assert [answer.status_code for answer in answers] == [400] * 5 + [429]
    assert answers[-1]["Retry-After"] == "300"
    assert _sign_up("new@example.org", code).status_code == 429
    _invite(cast, email=cast.outside_patient.email)
    phone = cast.client(cast.outside_patient)
    tried = [phone.send("POST", ACCEPT, {"code": f"guess {n}"}) for n in range(6)]
    assert [answer.status_code for answer in tried] == [400] * 5 + [429]
    assert (tried[-1]["Retry-After"], tried[-1].json()["code"]) == ("300", "too_many_attempts")
