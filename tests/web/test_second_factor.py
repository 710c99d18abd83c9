"""The second factor on pages: set up, asked for, and the own account with everything that opens it."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.test import Client

from backend.accounts import access, second_factor
from backend.accounts.models import OutboxMail
from backend.common import clock
from tests.cast import PASSWORD, Cast
from tests.codes import code, enrol, recovery_codes
from tests.passkeys import Passkey
from tests.web.reading import read, words

HOST = "https://testserver"


def password(cast: Cast, client: Client | None = None, **more: str) -> Client:
    """A browser whose password was right."""
    client = client or Client()
    client.post("/sign-in", {"login": cast.psychiatrist.email, "password": PASSWORD, **more})
    return client


def signed_in(cast: Cast) -> Client:
    """A browser that is signed in with both."""
    enrol(cast.psychiatrist)
    client = password(cast)
    assert client.post("/second-factor", {"code": code()}).status_code == 302
    return client


def options(page: Any) -> dict[str, Any]:
    """What the page asks a passkey for."""
    (found,) = read(page).xpath("//form[@data-passkey]/@data-options")
    asked: dict[str, Any] = json.loads(found)
    return asked


def test_who_has_none_is_led_to_its_set_up_and_then_to_the_page(cast: Cast) -> None:
    client, wanted = password(cast), f"/patients/{cast.patient.id}"
    sent = client.get(wanted)
    assert sent["Location"] == f"/second-factor/set-up?next=%2Fpatients%2F{cast.patient.id}"
    assert client.get("/sign-ins")["Location"].startswith("/second-factor/set-up")
    page = client.get(sent["Location"])
    tree = read(page)
    assert tree.xpath("//*[@class='qr']/*[local-name()='svg']")
    assert "style=" not in page.content.decode()
    secret = words(tree.xpath("//code[@class='key']")[0]).replace(" ", "")
    assert client.get(sent["Location"]).content.decode().count(secret[:4]) >= 1, (
        "the key stays while it is not confirmed"
    )
    wrong = client.post("/second-factor/set-up", {"code": "000000", "next": wanted})
    assert "not right" in words(read(wrong).xpath("//*[@role='alert']")[0])
    right = {"code": second_factor.code_at(secret=secret, now=clock.now()), "next": wanted}
    done = client.post("/second-factor/set-up", right)
    codes = client.get(done["Location"])
    kept = read(codes).xpath("//ul[@class='codes']//code/text()")
    assert len(kept) == 10
    assert read(codes).xpath("//a[contains(@class, 'button-main')]/@href") == [wanted]
    assert client.get(wanted).status_code == 200
    assert client.get("/second-factor/recovery-codes").status_code == 302, "they are shown once"
    assert client.post("/sign-out").status_code == 302
    assert password(cast, client).post("/second-factor", {"code": kept[0]}).status_code == 302


def test_words_and_429_at_the_limit(cast: Cast) -> None:
    enrol(cast.psychiatrist)
    client = password(cast)
    answers = [client.post("/second-factor", {"code": f"{n:06d}"}) for n in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[-1]["Retry-After"] == "300"
    assert "Too many attempts" in answers[-1].content.decode()


def test_the_second_step_is_nobodys_without_the_first(cast: Cast) -> None:
    for answer in (Client().get("/second-factor"), Client().post("/second-factor", {"code": "000000"})):
        assert (answer.status_code, answer["Location"]) == (302, "/sign-in")
    enrol(cast.psychiatrist)
    client = password(cast)
    assert client.post("/second-factor", {"cancel": "1"})["Location"] == "/sign-in"
    assert client.get("/second-factor")["Location"] == "/sign-in"


def test_a_sign_in_from_before_is_asked_to_come_again(cast: Cast) -> None:
    client = password(cast)
    enrol(cast.psychiatrist)  # on another computer
    page = client.get("/second-factor/set-up")
    assert "this sign-in is from before" in page.content.decode()
    assert client.get("/")["Location"].startswith("/second-factor/set-up")


def test_a_passkey_replaces_password_and_code(cast: Cast) -> None:
    key, client = Passkey(host="testserver", origin=HOST), password(cast)
    made = key.create(options(client.get("/second-factor/set-up")))
    done = client.post("/second-factor/set-up", {"name": "Laptop", "credential": json.dumps(made)})
    assert done["Location"].startswith("/second-factor/recovery-codes")
    assert client.get("/").status_code == 200

    other = Client()
    answer = key.get(other.get("/sign-in/passkey").json())
    entered = other.post("/sign-in/passkey", {"credential": json.dumps(answer), "next": "/sign-ins"})
    assert (entered.status_code, entered["Location"]) == (302, "/sign-ins"), entered.content
    assert "Laptop" in other.get("/sign-ins").content.decode()
    refused = Client().post("/sign-in/passkey", {"credential": json.dumps(answer)})
    assert refused.status_code == 200
    assert read(refused).xpath("//*[@role='alert']")

    third = password(cast)
    step = third.get("/second-factor")
    assert third.post("/second-factor", {"credential": json.dumps(key.get(options(step)))})["Location"] == "/"


@pytest.mark.parametrize(
    "nonsense", ["", "{}", "[]", "null", "no json", '{"id": 1}', '{"response": {"userHandle": 5}}']
)
def test_nonsense_in_place_of_a_passkey_is_refused(cast: Cast, nonsense: str) -> None:
    client = Client()
    client.get("/sign-in/passkey")
    assert client.post("/sign-in/passkey", {"credential": nonsense}).status_code == 200
    enrolling = password(cast)
    enrolling.get("/second-factor/set-up")
    assert enrolling.post("/second-factor/set-up", {"credential": nonsense}).status_code == 200


def test_the_own_account_lists_and_ends_what_is_open(cast: Cast) -> None:
    client = signed_in(cast)
    there = password(cast)
    assert there.post("/second-factor", {"code": recovery_codes(cast.psychiatrist)[0]}).status_code == 302
    page = client.get("/sign-ins")
    said = words(read(page))
    assert "Authenticator app" in said
    assert "9 left" in said
    assert "this one" in said
    (end,) = [value for value in read(page).xpath("//button[@name='end']/@value") if value != "others"]
    assert client.post("/sign-ins", {"end": end})["Location"] == "/sign-ins"
    assert there.get("/").status_code == 302
    assert client.get("/").status_code == 200
    assert client.post("/sign-ins", {"end": "nonsense"}).status_code == 302


def test_the_last_second_factor_of_staff_stays_and_another_makes_it_removable(cast: Cast) -> None:
    client = signed_in(cast)
    (app,) = read(client.get("/sign-ins")).xpath("//button[@name='remove']/@value")
    kept = client.post("/sign-ins", {"remove": app})
    assert "add another before" in words(read(kept).xpath("//*[@role='alert']")[0])
    key = Passkey(host="testserver", origin=HOST)
    made = key.create(options(client.get("/second-factor/set-up")))
    client.post("/second-factor/set-up", {"credential": json.dumps(made)})
    assert client.post("/sign-ins", {"remove": app}).status_code == 302
    with access.maintaining("test"):
        held = set(Authenticator.objects.filter(user_id=cast.psychiatrist.pk).values_list("type", flat=True))
        told = OutboxMail.objects.filter(subject="Your account was changed").count()
    assert held == {"webauthn", "recovery_codes"}
    assert told >= 2
    enrol(cast.nurse)
    assert client.post("/sign-ins", {"remove": str(_app_of(cast))}).status_code == 302
    assert _app_of(cast), "another person's stays"


def _app_of(cast: Cast) -> int:
    with access.maintaining("test"):
        return int(Authenticator.objects.get(user_id=cast.nurse.pk, type="totp").pk)


def test_changes_ask_for_the_password_when_it_was_entered_long_ago(cast: Cast) -> None:
    client = signed_in(cast)
    with time_machine.travel(clock.now() + timedelta(minutes=6)):
        asked = client.get("/second-factor/set-up")
        assert asked["Location"].startswith("/sign-in/again?next=")
        assert client.post("/second-factor/recovery-codes")["Location"].startswith("/sign-in/again")
        wrong = client.post("/sign-in/again", {"password": "not it", "next": "/sign-ins"})
        assert "not your password" in wrong.content.decode()
        assert client.post("/sign-in/again", {"password": PASSWORD, "next": "/sign-ins"})["Location"] == "/sign-ins"
        shown = client.get(client.post("/second-factor/recovery-codes")["Location"])
        assert len(read(shown).xpath("//ul[@class='codes']//code")) == 10
        for n in range(4):
            client.post("/sign-in/again", {"password": f"guess {n}"})
        locked = client.post("/sign-in/again", {"password": PASSWORD})
        assert (locked.status_code, locked["Retry-After"]) == (429, "300")


def test_a_browser_is_known_again(cast: Cast) -> None:
    client = signed_in(cast)
    assert re.fullmatch("[0-9a-f-]{36}", client.cookies["browser"].value)
    assert client.cookies["browser"]["httponly"]
    client.post("/sign-out")
    password(cast, client).post("/second-factor", {"code": code(later=1)})
    with access.maintaining("test"):
        assert OutboxMail.objects.filter(subject="A new sign-in").count() == 1


def test_no_page_of_the_account_needs_inline_script_or_style(cast: Cast) -> None:
    client = signed_in(cast)
    client.post("/second-factor/recovery-codes")
    half = password(cast)
    pages = [
        client.get(path)
        for path in ("/second-factor/set-up", "/second-factor/recovery-codes", "/sign-ins", "/sign-in/again")
    ]
    for page in [*pages, half.get("/second-factor"), Client().get("/sign-in")]:
        assert page.status_code == 200
        tree = read(page)
        assert not tree.xpath("//*[@style] | //style | //script[not(@src)] | //@*[starts-with(name(), 'on')]")
        assert page["Content-Security-Policy"]
        assert "no-store" in page["Cache-Control"]
        for field in tree.xpath("//input[not(@type='hidden')]"):
            assert tree.xpath(f"//label[@for='{field.get('id')}']"), field.get("id")


def test_words_of_another_site_are_no_way_on(cast: Cast) -> None:
    client = password(cast)
    page = client.get("/second-factor/set-up?next=https://evil.example/")
    assert read(page).xpath("//input[@name='next']/@value") == ["/"] * 2
