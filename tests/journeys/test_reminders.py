"""Reminders, on the whole stack: logged before, flown, over the night of a clock change, without a phone, moved."""

import json
import subprocess
import sys
import uuid
from datetime import UTC, date, datetime, time, timedelta
from email import message_from_bytes
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
import time_machine
from icalendar import Calendar

from backend.common import clock
from tests.cast import Cast
from tests.codes import enrol
from tests.journeys.phone import Phone
from tests.live import ROOT, Stack
from tests.reminders.receivers import PushService, Reply

pytestmark = pytest.mark.stack
MUMBAI, LONDON = ZoneInfo("Asia/Kolkata"), ZoneInfo("Europe/London")
SUNDAY = 6


def _soon(seconds: int, zone: ZoneInfo = MUMBAI) -> datetime:
    """What the clocks show in so many seconds."""
    return (clock.now().astimezone(zone) + timedelta(seconds=seconds)).replace(microsecond=0, tzinfo=None)


def _rule(phone: Phone, start: datetime, *, rrule: str = "FREQ=DAILY", purpose: str = "own") -> dict[str, Any]:
    body = {"title": "Walk", "rrule": rrule, "start": start.isoformat(), "purpose": purpose}
    made = phone.send("PUT", f"reminder-rules/{uuid.uuid4()}", body)
    assert made.status_code == 201, made.text
    return made.json()


def _reminders(phone: Phone, query: str) -> list[dict[str, Any]]:
    return phone.send("GET", f"reminders?{query}").json()["results"]


def _plan(phone: Phone) -> list[dict[str, Any]]:
    return phone.send("GET", "me/reminder-plan").json()["entries"]


def _at(instant: str) -> datetime:
    return datetime.fromisoformat(instant)


def test_who_logs_before_the_reminder_gets_none_and_explain_says_why(stack: Stack, cast: Cast) -> None:
    enrol(cast.psychiatrist, cast.outsider)
    phone, doctor, outsider = (Phone(stack, each) for each in (cast.patient, cast.psychiatrist, cast.outsider))
    asked = _rule(phone, _soon(4), purpose="check_in")
    _rule(phone, _soon(5))
    check_in = {"felt_at": clock.now().astimezone(MUMBAI).isoformat(), "time_zone": "Asia/Kolkata", "mood": 6}
    assert phone.send("PUT", f"mood-check-ins/{uuid.uuid4()}", check_in).status_code == 201

    # The one of one's own, a second later, is the witness that the engine has passed the hour.
    stack.wait_for(lambda: _reminders(phone, "purpose=own&status=sent"))
    stack.wait_for(lambda: stack.mails_to(cast.patient.email))
    (done,) = _reminders(phone, "purpose=check_in&status=done")
    assert (done["due_at"], done["reason"], done["deliveries"]) == (asked["next_at"], "already_logged", [])
    (mail,) = stack.mails_to(cast.patient.email)
    assert not [word for word in ("walk", "check-in", "mood") if word in f"{mail.subject} {mail.text}".lower()]
    for reader in (phone, doctor):
        story = reader.send("GET", f"reminders/{done['id']}/explain").json()
        assert story["sentences"][-1] == "Not sent: it was already logged."
    assert outsider.send("GET", f"reminders/{done['id']}/explain").status_code == 404
    tomorrow = _at(asked["next_at"]) + timedelta(days=1)
    assert next(_at(each["due_at"]) for each in _plan(phone) if each["purpose"] == "check_in") == tomorrow


def test_a_flight_from_mumbai_to_london_moves_nothing_until_the_passenger_says_so(stack: Stack, cast: Cast) -> None:
    phone = Phone(stack, cast.patient)
    hour = _soon(4)
    asked = _rule(phone, hour, purpose="check_in")
    stack.wait_for(lambda: stack.mails_to(cast.patient.email))
    (sent,) = stack.wait_for(lambda: _reminders(phone, "purpose=check_in&status=sent"))
    entry = f"mood-check-ins/{uuid.uuid4()}"
    felt = {"felt_at": clock.now().astimezone(MUMBAI).isoformat(), "time_zone": "Asia/Kolkata", "mood": 6}
    assert phone.send("PUT", entry, felt).status_code == 201
    logged, planned = phone.send("GET", entry).json(), _plan(phone)

    landed = phone.send("PUT", f"me/devices/{uuid.uuid4()}", {"platform": "ios", "time_zone": "Europe/London"})
    assert (landed.status_code, landed.json()["asks_zone"]) == (201, "Europe/London")
    assert phone.send("GET", "me").json()["time_zone"] == "Asia/Kolkata"
    assert [each["due_at"] for each in _plan(phone)] == [each["due_at"] for each in planned]

    me = phone.send("PATCH", "me", {"time_zone": "Europe/London"}).json()
    assert [each["time_zone"] for each in me["zone_history"]] == ["Asia/Kolkata", "Europe/London"]
    device = landed.json()["id"]
    assert phone.send("GET", f"me/devices/{device}").json()["asks_zone"] is None
    # The same wall time is still to come in London today, but it was told this morning in Mumbai.
    (rule,) = phone.send("GET", "reminder-rules").json()["results"]
    tomorrow = (hour + timedelta(days=1)).replace(tzinfo=LONDON)
    assert (rule["id"], rule["start"], _at(rule["next_at"])) == (asked["id"], hour.isoformat(), tomorrow)
    assert _at(_plan(phone)[0]["due_at"]) == tomorrow
    (taken_away,) = _reminders(phone, "purpose=check_in&status=skipped")
    assert taken_away["reason"] == "zone_changed"
    assert "time zone changed" in phone.send("GET", f"reminders/{taken_away['id']}/explain").text
    assert phone.send("GET", f"reminders/{sent['id']}").json()["due_at"] == sent["due_at"]
    assert phone.send("GET", entry).json() == logged
    assert len(stack.mails_to(cast.patient.email)) == 1


def _sunday(month: int, place: int) -> date:
    """The first day after the coming week that is so-and-so manieth Sunday (-1: last) of that month."""
    today = clock.now().date()
    for year in (today.year, today.year + 1):
        month_days = (date(year, month, 1) + timedelta(days=n) for n in range(31))
        sundays = [day for day in month_days if day.month == month and day.weekday() == SUNDAY]
        if sundays[place] > today + timedelta(days=7):
            return sundays[place]
    raise AssertionError("no such Sunday")


def _expanded(zone: str, start: datetime) -> list[str]:
    asked = {"zone": zone, "rule": "FREQ=DAILY", "start": start.isoformat(), "limit": 3}
    tool = [sys.executable, "-m", "backend.reminders.expand"]
    run = subprocess.run(tool, input=json.dumps(asked), cwd=ROOT, capture_output=True, text=True, timeout=30)
    return json.loads(run.stdout)["instants"]


# Local hour of the series, then when it comes on the day before, on the day of the change and on the day after, in UTC.
# The rules of the zones: 15 U.S.C. 260a (02:00, second Sunday of March to first of November); Directive 2000/84/EC,
# in the United Kingdom SI 2002/262 (01:00 UTC, last Sundays of March and October).
NIGHTS = [
    pytest.param("America/New_York", 3, 1, "02:30", ["07:30", "07:30", "06:30"], id="skipped in New York"),
    pytest.param("America/New_York", 11, 0, "01:30", ["05:30", "05:30", "06:30"], id="doubled in New York"),
    pytest.param("Europe/London", 3, -1, "01:30", ["01:30", "01:30", "00:30"], id="skipped in London"),
    pytest.param("Europe/London", 10, -1, "01:30", ["00:30", "00:30", "01:30"], id="doubled in London"),
]


@pytest.mark.parametrize(("zone", "month", "place", "hour", "comes"), NIGHTS)
def test_in_the_night_of_a_clock_change_each_comes_once_and_none_unasked(
    stack: Stack, cast: Cast, zone: str, month: int, place: int, hour: str, comes: list[str]
) -> None:
    phone, here = Phone(stack, cast.patient), ZoneInfo(zone)
    night, day = _sunday(month, place), timedelta(days=1)
    assert phone.send("PATCH", "me", {"time_zone": zone}).status_code == 200
    start = datetime.combine(night - day, time.fromisoformat(hour))
    instants = [
        datetime.combine(night + n * day, time.fromisoformat(utc), UTC)
        for n, utc in zip((-1, 0, 1), comes, strict=True)
    ]
    at_night = _rule(phone, start)
    early = _rule(phone, start.replace(hour=5, minute=0), purpose="check_in")
    assert _at(at_night["next_at"]) == instants[0]
    assert [_at(row["due_at"]) for row in _reminders(phone, "purpose=own&status=planned")] == [instants[0]]
    assert [_at(text) for text in _expanded(zone, start)] == instants

    def foreseen() -> list[dict[str, Any]]:
        """The plan for the three days, as the server tells it two hours before they begin."""
        begin = datetime.combine(night - day, time(), here) - timedelta(hours=2)
        with time_machine.travel(begin, tick=False):
            answer = cast.client(cast.patient).send("GET", "me/reminder-plan?days=4").json()
        end = datetime.combine(night + 2 * day, time(), here)
        return [each for each in answer["entries"] if _at(each["due_at"]) < end]

    five = [datetime.combine(night + n * day, time(5), here) for n in (-1, 0, 1)]
    assert [(_at(each["at"]), each["would_skip"]) for each in foreseen() if each["rule"] == at_night["id"]] == [
        (at, None) for at in instants
    ]
    assert [_at(each["at"]) for each in foreseen() if each["rule"] == early["id"]] == five
    assert len(foreseen()) == 6, "nothing that was not asked for"

    # Quiet hours: what lies in them is not sent, or waits for their end, which keeps its wall time.
    assert phone.send("PATCH", "me", {"quiet_from": "22:00", "quiet_until": "07:00"}).status_code == 200
    quiet = foreseen()
    assert {each["would_skip"] for each in quiet if each["rule"] == at_night["id"]} == {"quiet_hours"}
    waiting = [each for each in quiet if each["rule"] == early["id"]]
    assert [(_at(each["at"]), each["moved_by_quiet"], each["would_skip"]) for each in waiting] == [
        (at.replace(hour=7), True, None) for at in five
    ]
    body = {"title": "Walk", "rrule": "FREQ=DAILY", "start": start.isoformat()}
    refused = phone.send("PUT", f"reminder-rules/{uuid.uuid4()}", body)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "always_quiet")
    enrol(cast.outsider)
    outsider = Phone(stack, cast.outsider)
    assert outsider.send("GET", f"patients/{cast.patient.id}/reminder-plan").status_code == 404


def test_phone_lost_its_token_is_gone_and_the_mail_comes_at_once(stack: Stack, cast: Cast) -> None:
    enrol(cast.outsider)
    phone = Phone(stack, cast.patient)
    service = PushService(phone.send("GET", "").json()["vapid_public_key"])
    try:
        assert phone.send("PATCH", "me", {"channels": ["push", "email"]}).status_code == 200
        browser, here = service.subscribe(), f"me/devices/{uuid.uuid4()}"
        made = phone.send("PUT", here, {"platform": "web", "push": browser.push})
        assert made.status_code == 201, made.text
        _rule(phone, _soon(3))
        (pushed,) = stack.wait_for(lambda: service.taken)
        assert pushed.payload["title"] == "A reminder"
        assert "walk" not in str(pushed.payload).lower()
        assert stack.mails_to(cast.patient.email) == []
        answered = requests.post(
            f"{phone.api}/notification-answers", json={"token": pushed.payload["token"]}, timeout=10
        )
        assert (answered.status_code, answered.json()["status"]) == (200, "acknowledged")
        # The phone is lost: its service knows the subscription no more.
        service.replies[browser.path] = Reply(410)
        _rule(phone, _soon(3))
        # The reminder, and a word about the phone.
        mails = stack.wait_for(lambda: mails if len(mails := stack.mails_to(cast.patient.email)) == 2 else None)
    finally:
        service.stop()
    assert [mail for mail in mails if "takes no messages any more" in mail.text]
    assert phone.send("GET", here).json()["push"] is None
    states = {one["channel"]: one for one in phone.send("GET", "me").json()["channel_states"]}
    assert (states["push"]["state"], states["email"]["state"]) == ("blocked", "ok")
    assert states["push"]["since"] is not None
    (fallen_back,) = stack.wait_for(lambda: _reminders(phone, "purpose=own&status=sent"))
    ways = {each["channel"]: each["status"] for each in fallen_back["deliveries"]}
    assert ways == {"inbox": "sent", "push": "failed", "email": "sent"}
    story = phone.send("GET", f"reminders/{fallen_back['id']}/explain").json()["text"]
    assert "could not be sent by notification" in story
    assert "was sent by e-mail" in story
    (told,) = stack.wait_for(lambda: _reminders(phone, "purpose=address&status=sent"))
    assert ("email", "sent") in {(each["channel"], each["status"]) for each in told["deliveries"]}
    outsider = Phone(stack, cast.outsider)
    assert outsider.send("GET", f"reminders/{told['id']}/explain").status_code == 404


def _events(stack: Stack, address: str) -> list[Any]:
    """The calendar entries that came with the mails to the address, the newest mail first."""
    mails = [
        message_from_bytes((stack.mail.folder / "new" / each.key).read_bytes()) for each in stack.mails_to(address)
    ]
    files = [part for mail in mails for part in mail.walk() if part.get_filename() == "appointment.ics"]
    return [Calendar.from_ical(file.get_payload(decode=True)).walk("VEVENT")[0] for file in files]


def test_a_psychiatrist_moves_the_appointment_and_its_reminders_and_calendars_follow(stack: Stack, cast: Cast) -> None:
    enrol(cast.psychiatrist, cast.outsider)
    doctor, phone, outsider = (Phone(stack, each) for each in (cast.psychiatrist, cast.patient, cast.outsider))
    address, id = cast.patient.email, uuid.uuid4()

    def put(starts_at: datetime, **headers: str) -> requests.Response:
        body = {"patient": str(cast.patient.id), "kind": "follow_up", "starts_at": starts_at.isoformat(), "minutes": 30}
        return doctor.send("PUT", f"appointments/{id}", body, **headers)

    made = put(clock.now() + timedelta(days=3))
    assert made.status_code == 201, made.text
    planned = _reminders(phone, "purpose=appointment&status=planned")
    assert len(planned) == 2

    first = clock.now() + timedelta(hours=2, seconds=3)
    moved = put(first, If_Match=made.headers["ETag"])
    assert moved.status_code == 200, moved.text
    for old in planned:
        story = phone.send("GET", f"reminders/{old['id']}/explain").json()
        assert (story["status"], story["reason"]) == ("skipped", "appointment_moved")
        assert story["text"].endswith("Not sent: the appointment was moved; another one takes its place.")
    stack.wait_for(lambda: stack.mails_to(address))
    (sent,) = stack.wait_for(lambda: _reminders(phone, "purpose=appointment&status=sent"))
    assert _at(sent["due_at"]) == first - timedelta(hours=2)

    second = clock.now() + timedelta(hours=2, seconds=4)
    again = put(second, If_Match=moved.headers["ETag"])
    assert again.status_code == 200, again.text
    stack.wait_for(lambda: len(stack.mails_to(address)) == 2)
    newer, older = _events(stack, address)
    assert newer["UID"] == older["UID"]
    assert newer["SEQUENCE"] > older["SEQUENCE"]
    assert newer["DTSTART"].dt == second.replace(microsecond=0)
    assert older["DTSTART"].dt == first.replace(microsecond=0)
    # What was sent stays, and both tell their story.
    assert {row["id"] for row in stack.wait_for(lambda: _reminders(phone, "purpose=appointment&status=sent"))} > {
        sent["id"]
    }
    kept = doctor.send("GET", f"reminders/{sent['id']}").json()
    assert (kept["due_at"], kept["status"]) == (sent["due_at"], "sent")
    assert "was sent by e-mail" in doctor.send("GET", f"reminders/{sent['id']}/explain").text
    assert "follow" not in " ".join(f"{mail.subject} {mail.text}" for mail in stack.mails_to(address)).lower()
    assert outsider.send("GET", f"reminders/{sent['id']}/explain").status_code == 404
    assert outsider.send("GET", f"patients/{cast.patient.id}/reminder-plan").status_code == 404
