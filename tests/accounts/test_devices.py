"""Where one is signed in: listed with what and where, ended at once, and told when it is somewhere new."""

import uuid

from backend.accounts import access, devices
from backend.accounts.models import Device, OutboxMail, Person
from tests.accounts.test_second_factor import phone
from tests.cast import PASSWORD, Cast, Client

LOGIN = "auth/app/v1/auth/login"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
PIXEL = "Afterglow/1.0 okhttp/4.12 (Android 16; Pixel 9)"


def sign_in(person: Person, **headers: str) -> Client:
    """A phone that has just signed in."""
    answer = Client().send("POST", LOGIN, {"email": person.email, "password": PASSWORD}, **headers)
    assert answer.status_code == 200, answer.content
    return phone(answer.json()["meta"]["session_token"])


def told(person: Person) -> list[str]:
    """The texts of the mails about sign-ins."""
    with access.maintaining("test"):
        mails = OutboxMail.objects.filter(recipient=person.email, subject="A new sign-in").order_by("created_at")
        return list(mails.values_list("text", flat=True))


def test_a_sign_in_on_an_unknown_device_is_told_to_the_person(cast: Cast) -> None:
    known = str(uuid.uuid4())
    sign_in(cast.patient, **{"X-Device": known, "User-Agent": PIXEL})
    (mail,) = told(cast.patient)
    assert "Android app on Android, from 127.0.0.1" in mail
    assert "(Asia/Kolkata)" in mail
    sign_in(cast.patient, **{"X-Device": known})
    assert len(told(cast.patient)) == 1, "it is known by now"
    sign_in(cast.patient, **{"X-Device": str(uuid.uuid4())})
    sign_in(cast.patient)
    assert len(told(cast.patient)) == 3
    sign_in(cast.other_patient, **{"X-Device": known})
    assert len(told(cast.other_patient)) == 1, "known to one is not known to another"
    with access.maintaining("test"):
        assert Device.objects.get(id=known).person_id == cast.patient.id


def test_a_phone_says_what_it_is_and_the_sign_in_is_known_to_be_on_it(cast: Cast) -> None:
    mine, id = sign_in(cast.patient, **{"User-Agent": PIXEL}), uuid.uuid4()
    body = {
        "platform": "android", "push": {"fcm_token": "abc:def"}, "app_version": "1.4.0", "locale": "hi-IN",
        "time_zone": "Asia/Kolkata",
    }  # fmt: skip
    first, again = mine.send("PUT", f"me/devices/{id}", body), mine.send("PUT", f"me/devices/{id}", body)
    assert (first.status_code, again.status_code) == (201, 200), first.content
    assert (first.json()["what"], first.json()["asks_zone"]) == ("Android app on Android", None)
    (listed,) = mine.send("GET", "me/devices").json()["results"]
    assert (listed["id"], listed["current"], listed["push"]) == (str(id), True, {"fcm_token": "abc:def"})
    (here,) = mine.send("GET", "me/sessions").json()["results"]
    assert (here["device"], here["what"], here["current"]) == (str(id), "Android app on Android", True)
    assert mine.send("GET", f"me/devices/{id}").json()["locale"] == "hi-IN"
    sign_in(cast.patient, **{"X-Device": str(id)})
    assert len(told(cast.patient)) == 1


def test_the_database_knows_on_which_device_one_acts(cast: Cast) -> None:
    mine, id = sign_in(cast.patient), uuid.uuid4()
    mine.send("PUT", f"me/devices/{id}", {"platform": "ios"})
    log = uuid.uuid4()
    body = {"felt_at": "2026-11-01T08:00:00+05:30", "time_zone": "Asia/Kolkata", "mood": 6}
    assert mine.send("PUT", f"mood-check-ins/{log}", body).status_code == 201
    assert mine.send("PUT", f"mood-check-ins/{log}", body | {"mood": 5}, **{"If-Match": '"1"'}).status_code == 200
    with access.maintaining("test"):
        from pghistory.models import Context

        assert str(id) in [context.metadata.get("device") for context in Context.objects.all()]


def test_another_zone_is_asked_about_and_moves_nothing(cast: Cast) -> None:
    mine, id = sign_in(cast.patient), uuid.uuid4()
    body = {"platform": "ios", "time_zone": "Europe/London"}
    assert mine.send("PUT", f"me/devices/{id}", body).json()["asks_zone"] == "Europe/London"
    assert mine.send("GET", "me").json()["time_zone"] == "Asia/Kolkata"
    assert mine.send("PATCH", "me", {"time_zone": "Europe/London"}).status_code == 200
    assert mine.send("GET", f"me/devices/{id}").json()["asks_zone"] is None


def test_faulty_devices_are_refused_with_the_field(cast: Cast) -> None:
    mine, id = sign_in(cast.patient), uuid.uuid4()
    for fault, pointer in (
        ({"platform": "fridge"}, "/platform"),
        ({"time_zone": "Mars/Olympus"}, "/time_zone"),
        ({"push": {"endpoint": "https://push.example/1"}}, "/push"),
        ({"push": {"endpoint": "http://push.example/1", "keys": {"p256dh": "a", "auth": "b"}}}, "/push/endpoint"),
        ({"push": {}}, "/push"),
        ({"app_version": "x" * 41}, "/app_version"),
        ({"colour": "red"}, "/colour"),
    ):
        refused = mine.send("PUT", f"me/devices/{id}", {"platform": "ios"} | fault)
        assert refused.status_code == 400, (fault, refused.content)
        assert pointer in [error["pointer"] for error in refused.json()["errors"]], refused.json()
    web = {"endpoint": "https://push.example/1", "keys": {"p256dh": "BNc", "auth": "tBH"}}
    assert mine.send("PUT", f"me/devices/{id}", {"platform": "web", "push": web}).json()["push"] == web


def test_one_sign_in_is_ended_at_once(cast: Cast) -> None:
    here, there = sign_in(cast.patient), sign_in(cast.patient, **{"User-Agent": FIREFOX})
    listed = here.send("GET", "me/sessions").json()["results"]
    assert [row["current"] for row in listed] == [True, False]
    assert (listed[1]["what"], listed[1]["address"]) == ("Firefox on Linux", "127.0.0.1")
    assert listed[1]["seen_at"]
    assert "token" not in str(listed)
    assert here.send("GET", f"me/sessions/{listed[1]['id']}").json() == listed[1]
    assert here.send("DELETE", f"me/sessions/{listed[1]['id']}").status_code == 204
    assert there.send("GET", "me").status_code == 401
    assert here.send("DELETE", f"me/sessions/{listed[1]['id']}").status_code == 404


def test_all_others_are_ended_at_once(cast: Cast) -> None:
    here, *others = [sign_in(cast.patient) for _ in range(3)]
    stranger = sign_in(cast.other_patient)
    assert here.send("DELETE", "me/sessions").status_code == 204
    assert [each.send("GET", "me").status_code for each in (here, *others, stranger)] == [200, 401, 401, 200]


def test_a_device_that_is_removed_takes_its_sign_ins_with_it(cast: Cast) -> None:
    here, there, id = sign_in(cast.patient), sign_in(cast.patient), uuid.uuid4()
    there.send("PUT", f"me/devices/{id}", {"platform": "ios"})
    assert here.send("DELETE", f"me/devices/{id}").status_code == 204
    assert there.send("GET", "me").status_code == 401
    assert here.send("GET", f"me/devices/{id}").status_code == 404


def test_nobody_sees_ends_or_takes_over_what_is_another_persons(cast: Cast) -> None:
    mine, id = sign_in(cast.patient), uuid.uuid4()
    mine.send("PUT", f"me/devices/{id}", {"platform": "ios"})
    (row,) = mine.send("GET", "me/sessions").json()["results"]
    for person in (cast.outsider, cast.psychiatrist, cast.administrator, cast.other_patient):
        stranger = cast.client(person)
        for verb, path, body in (
            ("GET", f"me/devices/{id}", None),
            ("PUT", f"me/devices/{id}", {"platform": "web"}),
            ("DELETE", f"me/devices/{id}", None),
            ("GET", f"me/sessions/{row['id']}", None),
            ("DELETE", f"me/sessions/{row['id']}", None),
        ):
            assert stranger.send(verb, path, body).status_code == 404, (verb, path)
        assert str(id) not in stranger.send("GET", "me/devices").content.decode()
        assert row["id"] not in stranger.send("GET", "me/sessions").content.decode()
    assert mine.send("GET", f"me/devices/{id}").json()["platform"] == "ios"
    assert Client().send("GET", "me/sessions").status_code == 401


def test_a_program_is_named_in_words() -> None:
    for agent, said in (
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604", "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("curl/8.14", "curl"),
        ("<script>alert(1)</script>", "scriptalert1/script"),
        ("", "An unknown program"),
    ):  # fmt: skip
        assert devices.words_for(agent) == said
