"""Signing in and out in the browser: errors and the limit in words, and no way out of the house."""

from urllib.parse import urlsplit

from django.test import Client

from tests.cast import PASSWORD, Cast
from tests.codes import code, enrol
from tests.web.reading import browser, read, words


def test_a_psychiatrist_signs_in_and_lands_where_they_wanted_to_go(cast: Cast) -> None:
    enrol(cast.psychiatrist)
    client = Client(enforce_csrf_checks=True)
    wanted = f"/patients/{cast.patient.id}"
    sent = client.get(wanted)
    assert sent.status_code == 302
    form = client.get(sent["Location"])
    token = read(form).xpath("//input[@name='csrfmiddlewaretoken']/@value")[0]
    answer = client.post(
        urlsplit(sent["Location"]).path,
        {"login": "psychiatrist@example.org", "password": PASSWORD, "next": wanted, "csrfmiddlewaretoken": token},
    )
    assert (answer.status_code, answer["Location"]) == (302, "/second-factor")
    assert client.get(wanted)["Location"].startswith("/sign-in"), "half signed in is not signed in"
    step = client.get("/second-factor")
    token = read(step).xpath("//input[@name='csrfmiddlewaretoken']/@value")[0]
    done = client.post("/second-factor", {"code": code(), "csrfmiddlewaretoken": token})
    assert (done.status_code, done["Location"]) == (302, wanted)
    assert client.get(wanted).status_code == 200
    assert "messages" not in client.cookies or not client.cookies["messages"].value


def test_a_wrong_password_is_told_in_words_and_the_address_stays(cast: Cast) -> None:
    answer = browser().post("/sign-in", {"login": "psychiatrist@example.org", "password": "wrong"})
    page = read(answer)
    assert words(page.xpath("//*[@role='alert']")[0]) == "This e-mail address and password do not belong together."
    assert page.xpath("//input[@name='login']/@value") == ["psychiatrist@example.org"]
    assert page.xpath("//input[@name='password']/@value") == []


def test_empty_fields_name_themselves(cast: Cast) -> None:
    page = read(browser().post("/sign-in", {}))
    for name in ("login", "password"):
        (field,) = page.xpath(f"//input[@name='{name}']")
        assert field.get("aria-invalid") == "true"
        assert words(page.get_element_by_id(field.get("aria-describedby")))


def test_too_many_attempts_answer_429_with_words(cast: Cast) -> None:
    client = browser()
    answers = [client.post("/sign-in", {"login": "psychiatrist@example.org", "password": f"no {n}"}) for n in range(7)]
    assert answers[0].status_code == 200
    assert answers[-1].status_code == 429
    assert answers[-1]["Retry-After"].isdigit()
    assert "Too many attempts" in answers[-1].content.decode()
    locked = client.post("/sign-in", {"login": "psychiatrist@example.org", "password": PASSWORD})
    assert locked.status_code == 429


def test_a_next_address_elsewhere_is_not_followed(cast: Cast) -> None:
    answer = browser().post(
        "/sign-in", {"login": "psychiatrist@example.org", "password": PASSWORD, "next": "https://evil.example/"}
    )
    assert answer["Location"] == "/"


def test_signing_out_needs_a_press_and_ends_the_session(cast: Cast) -> None:
    client = browser(cast.psychiatrist)
    assert "Sign out?" in client.get("/sign-out").content.decode()
    assert client.get("/").status_code == 200
    assert client.post("/sign-out")["Location"] == "/sign-in"
    assert client.get("/")["Location"].startswith("/sign-in")
