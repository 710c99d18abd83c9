"""The second factor: staff need one, a code opens once, and whoever guesses is locked."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connections

from backend.accounts import access, sealed, second_factor
from backend.accounts.models import OutboxMail, Person, Session
from backend.common import clock
from tests.cast import PASSWORD, Cast, Client
from tests.codes import SECRET, code, enrol, recovery_codes
from tests.passkeys import Passkey, text

LOGIN = "auth/app/v1/auth/login"
STEP = "auth/app/v1/auth/2fa/authenticate"
APP = "auth/app/v1/account/authenticators/totp"
CODES = "auth/app/v1/account/authenticators/recovery-codes"
PASSKEYS = "auth/app/v1/account/authenticators/webauthn"
NOBODY_THERE = "redis://127.0.0.1:1/0"


def phone(token: str) -> Client:
    """A phone with this token, half signed in or wholly."""
    client = Client()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def password(person: Person) -> Any:
    """The answer to address and password."""
    return Client().send("POST", LOGIN, {"email": person.email, "password": PASSWORD})


def half(person: Person) -> Client:
    """A phone whose password was right and which is asked for a code."""
    answer = password(person)
    assert answer.status_code == 401, answer.content
    pending = [flow for flow in answer.json()["data"]["flows"] if flow.get("is_pending")]
    assert [flow["id"] for flow in pending] == ["mfa_authenticate"]
    return phone(answer.json()["meta"]["session_token"])


def token_of(answer: Any) -> str:
    """The token in an answer of allauth's."""
    return str(answer.json()["meta"]["session_token"])


def test_staff_without_a_second_factor_get_nowhere_but_to_its_set_up(cast: Cast) -> None:
    for person in (cast.psychiatrist, cast.nurse, cast.administrator, cast.auditor):
        signed_in = phone(token_of(password(person)))
        for path in ("patients", "me", "me/sessions", f"patients/{cast.patient.id}", "invitations"):
            refused = signed_in.send("GET", path)
            assert (refused.status_code, refused.json()["code"]) == (403, "second_factor_required"), path
        assert signed_in.send("GET", "auth/app/v1/auth/session").status_code == 200
        assert signed_in.send("GET", APP).status_code == 404  # allauth's word for: here is a key to set one up
    assert phone(token_of(password(cast.patient))).send("GET", "me").status_code == 200


def test_an_app_that_was_set_up_opens_the_door_with_a_new_token(cast: Cast) -> None:
    signed_in = phone(token_of(password(cast.psychiatrist)))
    before = signed_in.send("GET", "auth/app/v1/auth/session")
    secret = signed_in.send("GET", APP).json()["meta"]["secret"]
    made = signed_in.send("POST", APP, {"code": second_factor.code_at(secret=secret, now=clock.now())})
    assert made.status_code == 200, made.content
    assert phone(token_of(made)).send("GET", "patients").status_code == 200
    assert signed_in.send("GET", "patients").status_code == 401, "the key from before opens nothing"
    assert before.status_code == 200
    with access.maintaining("test"):
        row = Authenticator.objects.get(user_id=cast.psychiatrist.pk, type="totp")
        assert secret not in str(row.data), "the key is sealed"
        subjects = set(OutboxMail.objects.filter(recipient=cast.psychiatrist.email).values_list("subject", flat=True))
    assert "Your account was changed" in subjects
    codes = phone(token_of(made)).send("GET", CODES).json()["data"]["unused_codes"]
    assert len(codes) == 10
    assert half(cast.psychiatrist).send("POST", STEP, {"code": codes[0]}).status_code == 200


def test_password_and_code_sign_in_and_half_of_it_opens_nothing(cast: Cast) -> None:
    enrol(cast.psychiatrist)
    waiting = half(cast.psychiatrist)
    assert waiting.send("GET", "patients").status_code == 401
    assert waiting.send("POST", STEP, {"code": "000000"}).status_code == 400
    done = waiting.send("POST", STEP, {"code": code()})
    assert done.status_code == 200, done.content
    assert phone(token_of(done)).send("GET", "patients").status_code == 200
    assert waiting.send("GET", "patients").status_code == 401, "the half token does not become a whole one"


def test_a_code_opens_once(cast: Cast) -> None:
    enrol(cast.psychiatrist)
    with time_machine.travel(clock.now(), tick=False):
        shown = code()
        assert half(cast.psychiatrist).send("POST", STEP, {"code": shown}).status_code == 200
        cache.clear()
        again = half(cast.psychiatrist).send("POST", STEP, {"code": shown})
        assert (again.status_code, again.json()["errors"][0]["code"]) == (400, "code_used")
        assert half(cast.psychiatrist).send("POST", STEP, {"code": code(later=-1)}).status_code == 400, (
            "nor earlier ones"
        )
        assert half(cast.psychiatrist).send("POST", STEP, {"code": code(later=1)}).status_code == 200


def test_the_code_that_set_the_app_up_does_not_sign_in(cast: Cast) -> None:
    with time_machine.travel(clock.now(), tick=False):
        signed_in = phone(token_of(password(cast.psychiatrist)))
        shown = second_factor.code_at(secret=signed_in.send("GET", APP).json()["meta"]["secret"], now=clock.now())
        assert signed_in.send("POST", APP, {"code": shown}).status_code == 200
        again = half(cast.psychiatrist).send("POST", STEP, {"code": shown})
        assert (again.status_code, again.json()["errors"][0]["code"]) == (400, "code_used")


@pytest.mark.parametrize("away", [False, True])
def test_of_two_servers_that_get_one_code_at_once_one_takes_it(cast: Cast, settings: Any, away: bool) -> None:
    if away:
        settings.CACHES = settings.CACHES | {"default": settings.CACHES["default"] | {"LOCATION": NOBODY_THERE}}
    enrol(cast.psychiatrist)
    waiting = [half(cast.psychiatrist) for _ in range(3)]
    gate, shown = threading.Barrier(3), code()

    def enter(client: Client) -> int:
        try:
            gate.wait()
            return int(client.send("POST", STEP, {"code": shown}).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as servers:
        assert sorted(servers.map(enter, waiting)) == [200, 400, 400]


def test_codes_of_the_steps_beside_are_taken_and_older_ones_are_not(cast: Cast) -> None:
    now = clock.now()
    with time_machine.travel(now, tick=False):
        step = int(now.timestamp()) // second_factor.STEP_SECONDS
        for later, found in ((-2, None), (-1, step - 1), (0, step), (1, step + 1), (2, None)):
            assert second_factor.step_of(secret=SECRET, code=code(later=later), now=now) == found
        assert second_factor.step_of(secret=SECRET, code=f" {code()[:3]} {code()[3:]} ", now=now) == step
        for nothing in ("", "1", "abcdef", "٠١٢٣٤٥", "0" * 1000):
            assert second_factor.step_of(secret=SECRET, code=nothing, now=now) is None


@pytest.mark.parametrize("away", [False, True])
def test_guessing_codes_is_locked_by_attempt_six_for_every_sign_in_of_the_person(
    cast: Cast, settings: Any, away: bool
) -> None:
    if away:
        settings.CACHES = settings.CACHES | {"default": settings.CACHES["default"] | {"LOCATION": NOBODY_THERE}}
    enrol(cast.psychiatrist, cast.nurse)
    waiting = half(cast.psychiatrist)
    answers = [waiting.send("POST", STEP, {"code": f"{n:06d}"}) for n in range(3)]
    answers += [waiting.send("POST", STEP, {"code": f"{n:08d}"}) for n in range(3)]  # recovery codes count as well
    assert [answer.status_code for answer in answers] == [400] * 5 + [429]
    assert answers[-1]["Retry-After"] == "300"
    cache.clear()
    assert half(cast.psychiatrist).send("POST", STEP, {"code": code()}).status_code == 429
    assert half(cast.nurse).send("POST", STEP, {"code": code()}).status_code == 200
    with time_machine.travel(clock.now() + timedelta(minutes=5, seconds=1)):
        assert half(cast.psychiatrist).send("POST", STEP, {"code": code()}).status_code == 200


def test_a_recovery_code_opens_once_and_new_ones_replace_the_old(cast: Cast) -> None:
    enrol(cast.psychiatrist)
    first, second, *_ = recovery_codes(cast.psychiatrist)
    done = half(cast.psychiatrist).send("POST", STEP, {"code": first})
    assert done.status_code == 200
    assert half(cast.psychiatrist).send("POST", STEP, {"code": first}).status_code == 400
    made = phone(token_of(done)).send("POST", CODES, {})
    assert len(made.json()["data"]["unused_codes"]) == 10
    assert half(cast.psychiatrist).send("POST", STEP, {"code": second}).status_code == 400
    newest = made.json()["data"]["unused_codes"][0]
    assert half(cast.psychiatrist).send("POST", STEP, {"code": newest}).status_code == 200
    shown_again = phone(token_of(done)).send("GET", CODES)
    assert "unused_codes" not in shown_again.json().get("data", {}), "they are shown once"


def test_staff_keep_their_last_second_factor_and_patients_may_do_without(cast: Cast) -> None:
    enrol(cast.psychiatrist, cast.patient)
    staff = phone(token_of(half(cast.psychiatrist).send("POST", STEP, {"code": code()})))
    kept = staff.send("DELETE", APP)
    assert (kept.status_code, kept.json()["errors"][0]["code"]) == (409, "last_one")
    patient = phone(token_of(half(cast.patient).send("POST", STEP, {"code": code()})))
    assert patient.send("DELETE", APP).status_code == 200
    assert password(cast.patient).status_code == 200, "and the recovery codes went with it"


def test_a_second_app_is_refused_and_nobody_else_sees_the_first(cast: Cast) -> None:
    enrol(cast.psychiatrist)
    staff = phone(token_of(half(cast.psychiatrist).send("POST", STEP, {"code": code()})))
    assert staff.send("POST", APP, {"code": code(later=1)}).status_code in {400, 409}
    outsider = phone(token_of(password(cast.outsider)))
    listed = outsider.send("GET", "auth/app/v1/account/authenticators").json()["data"]
    assert listed == []


def test_second_factors_change_only_right_after_a_sign_in_or_the_password(cast: Cast) -> None:
    enrol(cast.patient)
    token = token_of(half(cast.patient).send("POST", STEP, {"code": code()}))
    with time_machine.travel(clock.now() + timedelta(minutes=6)):
        for verb, path in (("DELETE", APP), ("POST", CODES), ("GET", PASSKEYS)):
            asked = phone(token).send(verb, path, {} if verb == "POST" else None)
            assert asked.status_code == 401, (verb, path)
        again = "auth/app/v1/auth/reauthenticate"
        assert phone(token).send("POST", again, {"password": "not it"}).status_code == 400
        assert phone(token).send("POST", again, {"password": PASSWORD}).status_code == 200
        assert phone(token).send("DELETE", APP).status_code == 200


def test_a_passkey_signs_in_by_itself_and_counts_as_both_factors(cast: Cast) -> None:
    key = Passkey(host="testserver", origin="https://testserver")
    signed_in = phone(token_of(password(cast.psychiatrist)))
    asked = signed_in.send("GET", f"{PASSKEYS}?passwordless").json()["data"]["creation_options"]
    made = signed_in.send("POST", PASSKEYS, {"name": "Laptop", "credential": key.create(asked), "passwordless": True})
    assert made.status_code == 200, made.content
    assert phone(token_of(made)).send("GET", "patients").status_code == 200

    def enter(with_key: Passkey) -> Any:
        stranger = Client()
        challenge = stranger.send("GET", "auth/app/v1/auth/webauthn/login")
        stranger.credentials(HTTP_X_SESSION_TOKEN=token_of(challenge))
        options = challenge.json()["data"]["request_options"]
        answer = with_key.get(options)
        return stranger.send("POST", "auth/app/v1/auth/webauthn/login", {"credential": answer}), stranger, answer

    done, stranger, answer = enter(key)
    assert done.status_code == 200, done.content
    assert phone(token_of(done)).send("GET", "patients").status_code == 200
    replayed = stranger.send("POST", "auth/app/v1/auth/webauthn/login", {"credential": answer})
    assert replayed.status_code in {400, 401, 410}, "a challenge is answered once"

    forged = Passkey(host="testserver", origin="https://testserver")
    forged.id, forged.owner = key.id, key.owner
    assert enter(forged)[0].status_code == 400
    elsewhere = Passkey(host="testserver", origin="https://evil.example")
    elsewhere.id, elsewhere.owner, elsewhere.key = key.id, key.owner, key.key
    assert enter(elsewhere)[0].status_code == 400

    with access.maintaining("test"):
        Person.objects.filter(id=cast.psychiatrist.id).update(deactivated_at=clock.now())
    assert enter(key)[0].status_code == 400, "who was deactivated stays outside"


def test_a_passkey_is_asked_for_after_the_password(cast: Cast) -> None:
    key = Passkey(host="testserver", origin="https://testserver")
    signed_in = phone(token_of(password(cast.psychiatrist)))
    asked = signed_in.send("GET", PASSKEYS).json()["data"]["creation_options"]
    assert signed_in.send("POST", PASSKEYS, {"name": "Key", "credential": key.create(asked)}).status_code == 200
    waiting = half(cast.psychiatrist)
    options = waiting.send("GET", "auth/app/v1/auth/webauthn/authenticate").json()["data"]["request_options"]
    done = waiting.send("POST", "auth/app/v1/auth/webauthn/authenticate", {"credential": key.get(options)})
    assert done.status_code == 200, done.content
    assert phone(token_of(done)).send("GET", "patients").status_code == 200


def test_a_new_password_does_not_pass_by_the_second_factor(cast: Cast) -> None:
    enrol(cast.psychiatrist)
    with access.maintaining("test"):
        assert not Session.objects.filter(person=cast.psychiatrist).exists()
    token = token_of(half(cast.psychiatrist).send("POST", STEP, {"code": code()}))
    changed = phone(token).send(
        "POST",
        "auth/app/v1/account/password/change",
        {"current_password": PASSWORD, "new_password": "a fresh long phrase"},
    )
    assert changed.status_code in {200, 401}, changed.content
    assert phone(token).send("GET", "patients").status_code == 401, "every token dies with the password"
    answer = Client().send("POST", LOGIN, {"email": cast.psychiatrist.email, "password": "a fresh long phrase"})
    assert answer.status_code == 401


def test_the_old_password_is_not_guessed_with_a_stolen_token(cast: Cast) -> None:
    token = token_of(password(cast.patient))
    answers = [
        phone(token).send(
            "POST",
            "auth/app/v1/account/password/change",
            {"current_password": f"guess number {n}", "new_password": "a fresh long phrase"},
        )
        for n in range(6)
    ]
    assert [answer.status_code for answer in answers] == [400] * 5 + [429]


def test_what_was_sealed_opens_with_the_key_of_before_and_not_without(settings: Any) -> None:
    kept = sealed.seal("JBSWY3DP", purpose="test")
    assert kept != sealed.seal("JBSWY3DP", purpose="test")
    assert sealed.unseal(kept, purpose="test") == "JBSWY3DP"
    before = settings.SECRET_KEY
    settings.SECRET_KEY = "another key of at least 32 characters"
    for purpose, fallbacks in (("test", []), ("other", [before])):
        settings.SECRET_KEY_FALLBACKS = fallbacks
        with pytest.raises(sealed.Unsealable):
            sealed.unseal(kept, purpose=purpose)
    settings.SECRET_KEY_FALLBACKS = [before]
    assert sealed.unseal(kept, purpose="test") == "JBSWY3DP"
    with pytest.raises(sealed.Unsealable):
        sealed.unseal(kept[:-4] + "AAAA", purpose="test")


def test_nonsense_in_place_of_a_passkey_is_refused(cast: Cast) -> None:
    staff = phone(token_of(password(cast.psychiatrist)))
    staff.send("GET", PASSKEYS)
    stranger = phone(token_of(Client().send("GET", "auth/app/v1/auth/webauthn/login")))
    response = {"clientDataJSON": "e30", "attestationObject": "AA", "authenticatorData": "AA", "signature": "AA"}
    whole = {"id": "AAAA", "rawId": "AAAA", "type": "public-key", "clientExtensionResults": {}, "response": response}
    owner = text(cast.psychiatrist.pk.hex.encode())
    for nonsense in (
        {}, {"id": 1}, {"response": 5}, {"response": {"userHandle": "!"}}, {"response": {"userHandle": owner}}, whole,
        whole | {"response": response | {"userHandle": owner}}, whole | {"rawId": "B"}, [], "x", None, 1e400,
    ):  # fmt: skip
        answer = stranger.send("POST", "auth/app/v1/auth/webauthn/login", {"credential": nonsense})
        assert answer.status_code in {400, 429}, (nonsense, answer.content)
        assert staff.send("POST", PASSKEYS, {"name": "x", "credential": nonsense}).status_code == 400, nonsense


def test_who_lost_phone_and_codes_sets_up_anew_after_the_command(
    cast: Cast, capsys: pytest.CaptureFixture[str]
) -> None:
    enrol(cast.psychiatrist, cast.nurse)
    token = token_of(half(cast.psychiatrist).send("POST", STEP, {"code": code()}))
    call_command("forget_second_factor", "Psychiatrist@example.org")
    assert capsys.readouterr().out.startswith("2 removed")
    assert phone(token).send("GET", "patients").status_code == 401
    assert (
        phone(token_of(password(cast.psychiatrist))).send("GET", "patients").json()["code"] == "second_factor_required"
    )
    assert half(cast.nurse)
    with pytest.raises(CommandError, match="Nobody"):
        call_command("forget_second_factor", "nobody@example.org")
