"""A number for text messages counts once a code that was sent there has come back; little may be tried."""

import re
from datetime import timedelta
from typing import Any

from backend.accounts import access
from backend.reminders import phones
from backend.reminders.channels.base import fingerprint
from backend.reminders.models import BlockedAddress, PhoneCode
from tests.reminders.engine import NOON, door
from tests.reminders.receivers import Gateway, Reply

NUMBER, OTHER = "+919820000000", "+447700900123"


def code_in(gateway: Gateway) -> str:
    return re.search(r"\d{6}", gateway.texts[-1]["Body"])[0]


def older(**delta: float) -> None:
    """All codes were sent so much earlier."""
    with access.maintaining("test"):
        for row in PhoneCode.objects.all():
            row.sent_at -= timedelta(**delta)
            row.expires_at -= timedelta(**delta)
            row.save()


def confirmed(cast: Any, gateway: Gateway, number: str = NUMBER) -> Any:
    mine = cast.client(cast.patient)
    assert mine.send("PUT", "me/phone", {"number": number}).status_code == 200
    assert mine.send("POST", "me/phone/confirm", {"code": code_in(gateway)}).status_code == 200
    return mine


def test_a_number_counts_once_its_code_came_back(cast, gateway):
    mine = cast.client(cast.patient)
    asked = mine.send("PUT", "me/phone", {"number": NUMBER})
    assert (asked.status_code, asked.json()["number"], asked.json()["pending"]["number"]) == (200, None, NUMBER)
    (text,) = gateway.texts
    assert text["To"] == NUMBER
    assert "Sea Face" not in text["Body"]
    code = code_in(gateway)
    done = mine.send("POST", "me/phone/confirm", {"code": code})
    assert (done.status_code, done.json()["number"], done.json()["pending"]) == (200, NUMBER, None)
    assert done.json()["confirmed_at"]
    assert mine.send("POST", "me/phone/confirm", {"code": code}).json() == done.json(), "twice is the same as once"
    assert mine.send("PUT", "me/phone", {"number": NUMBER}).json() == done.json(), "nothing to prove"
    assert len(gateway.texts) == 1


def test_the_code_itself_is_kept_nowhere(cast, gateway):
    cast.client(cast.patient).send("PUT", "me/phone", {"number": NUMBER})
    with access.maintaining("test"):
        (row,) = PhoneCode.objects.all()
    assert code_in(gateway) not in str(vars(row)).replace(NUMBER, "")


def test_a_wrong_code_proves_nothing_and_few_may_be_tried(cast, gateway):
    mine = cast.client(cast.patient)
    mine.send("PUT", "me/phone", {"number": NUMBER})
    right = code_in(gateway)
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    for _ in range(5):
        refused = mine.send("POST", "me/phone/confirm", {"code": wrong})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/code")
    late = mine.send("POST", "me/phone/confirm", {"code": right})
    assert (late.status_code, late.json()["code"]) == (429, "too_many_attempts")
    assert int(late.headers["Retry-After"]) > 60
    assert mine.send("GET", "me/phone").json()["number"] is None


def test_a_code_lives_ten_minutes_and_comes_a_minute_apart_and_five_times_a_day(cast, gateway):
    mine = cast.client(cast.patient)
    mine.send("PUT", "me/phone", {"number": NUMBER})
    code = code_in(gateway)
    assert mine.send("PUT", "me/phone", {"number": OTHER}).status_code == 429
    older(minutes=11)
    assert mine.send("POST", "me/phone/confirm", {"code": code}).json()["code"] == "no_code"
    for _ in range(4):
        assert mine.send("PUT", "me/phone", {"number": NUMBER}).status_code == 200
        older(minutes=2)
    assert mine.send("PUT", "me/phone", {"number": OTHER}).status_code == 429
    assert len(gateway.texts) == 5
    older(days=1)
    assert mine.send("PUT", "me/phone", {"number": OTHER}).status_code == 200


def test_the_confirmed_number_stays_in_use_until_the_new_one_is_confirmed(cast, gateway):
    mine = confirmed(cast, gateway)
    older(minutes=2)
    assert mine.send("PUT", "me/phone", {"number": OTHER}).json()["number"] == NUMBER
    assert mine.send("POST", "me/phone/confirm", {"code": code_in(gateway)}).json()["number"] == OTHER


def test_a_number_is_taken_back(cast, gateway):
    mine = confirmed(cast, gateway)
    assert mine.send("DELETE", "me/phone").status_code == 204
    assert mine.send("GET", "me/phone").json() == {"number": None, "confirmed_at": None, "pending": None}
    assert mine.send("POST", "me/phone/confirm", {"code": code_in(gateway)}).json()["code"] == "no_code"


def test_a_number_that_was_blocked_works_again_once_a_code_arrived(cast, gateway):
    with door(cast.patient):
        BlockedAddress.objects.create(
            person=cast.patient, channel="sms", fingerprint=fingerprint("sms", NUMBER), why="SMS 400", blocked_at=NOON
        )
    mine = confirmed(cast, gateway)
    state = next(each for each in mine.send("GET", "me").json()["channel_states"] if each["channel"] == "sms")
    assert state == {"channel": "sms", "state": "ok", "since": None}


def test_where_nobody_sends_text_messages_no_number_is_taken(cast, settings):
    settings.SMS_URL = ""
    refused = cast.client(cast.patient).send("PUT", "me/phone", {"number": NUMBER})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_set_up")


def test_a_gateway_that_is_away_or_refuses_breaks_nothing(cast, gateway):
    mine = cast.client(cast.patient)
    for reply in (Reply(500), Reply(401, {"code": 20003})):
        gateway.reply = reply
        assert mine.send("PUT", "me/phone", {"number": NUMBER}).status_code == 200
        older(minutes=2)
    assert gateway.texts == []


def test_strangers_see_and_prove_nobody_elses_number(cast, gateway):
    cast.client(cast.patient).send("PUT", "me/phone", {"number": NUMBER})
    code = code_in(gateway)
    for stranger in (cast.outsider, cast.other_patient, cast.psychiatrist):
        assert cast.client(stranger).send("GET", "me/phone").json()["pending"] is None
        assert cast.client(stranger).send("POST", "me/phone/confirm", {"code": code}).json()["code"] == "no_code"
    assert cast.client().send("GET", "me/phone").status_code == 401


def test_faulty_numbers_are_refused_with_the_field(cast, gateway):
    for number in ("09820000000", "+0123456789", "+91 98200 00000", "+9198200000001234", "tel:+919820000000"):
        refused = cast.client(cast.patient).send("PUT", "me/phone", {"number": number})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/number"), number
    assert phones.A_DAY == 5
