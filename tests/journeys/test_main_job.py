"""The main job, on the whole stack: a patient logs, a reminder arrives, a psychiatrist reads the trend."""

import uuid
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from backend.accounts import access
from backend.accounts.models import Person
from backend.common import clock
from backend.reminders import escalation
from backend.reminders.escalation import Step
from backend.reminders.models import Escalation, Reminder
from backend.reminders.planning import About
from tests.cast import Cast
from tests.codes import enrol
from tests.journeys.phone import Phone
from tests.live import Stack

pytestmark = pytest.mark.stack
MUMBAI = ZoneInfo("Asia/Kolkata")


def _check_in(at: datetime, mood: int) -> dict[str, Any]:
    return {"felt_at": at.astimezone(MUMBAI).isoformat(), "time_zone": "Asia/Kolkata", "mood": mood}


def test_a_batch_that_was_written_offline_settles_what_it_makes_pointless(stack: Stack, cast: Cast) -> None:
    phone = Phone(stack, cast.patient)
    now = clock.now()
    soon = (now.astimezone(MUMBAI) + timedelta(seconds=6)).replace(microsecond=0)
    rule = {"title": "Evening check-in", "rrule": "FREQ=DAILY", "start": soon.replace(tzinfo=None).isoformat(),
            "time_zone": "Asia/Kolkata", "purpose": "check_in"}  # fmt: skip
    made = phone.send("PUT", f"reminder-rules/{uuid.uuid4()}", rule)
    assert made.status_code == 201, made.text
    records = [_check_in(now - timedelta(hours=7 * i), i % 11) | {"id": str(uuid.uuid4())} for i in range(500)]
    first = phone.send("POST", "mood-check-ins/batch", {"records": records}).json()["results"]
    assert [r["outcome"] for r in first] == ["created"] * 500
    again = phone.send("POST", "mood-check-ins/batch", {"records": records}).json()["results"]
    assert [(r["id"], r["outcome"]) for r in again] == [(r["id"], "unchanged") for r in first]

    def settled() -> dict[str, Any] | None:
        rows = phone.send("GET", "reminders?purpose=check_in").json()["results"]
        return next((row for row in rows if row["status"] == "done"), None)

    done = stack.wait_for(settled)
    assert done["reason"] == "already_logged"
    stack.wait_for(lambda: clock.now() > soon + timedelta(seconds=3))
    assert stack.mails_to(cast.patient.email) == []
    assert "logged" in phone.send("GET", f"reminders/{done['id']}/explain").text


def test_a_reminder_arrives_by_mail_and_in_the_inbox_and_is_acknowledged(stack: Stack, cast: Cast) -> None:
    enrol(cast.psychiatrist, cast.outsider)
    doctor, phone = Phone(stack, cast.psychiatrist), Phone(stack, cast.patient)
    starts_at = clock.now() + timedelta(hours=2, seconds=10)
    body = {
        "patient": str(cast.patient.id), "kind": "follow_up", "starts_at": starts_at.isoformat(), "minutes": 30,
        "with": str(cast.psychiatrist.id), "note": "Ask about the lapse.",
    }  # fmt: skip
    id = uuid.uuid4()
    made = doctor.send("PUT", f"appointments/{id}", body)
    assert made.status_code == 201, made.text
    assert doctor.send("PUT", f"appointments/{id}", body).status_code == 200

    (mail,) = stack.wait_for(lambda: stack.mails_to(cast.patient.email), seconds=30)
    assert clock.now() >= starts_at - timedelta(hours=2)
    said = f"{mail.subject} {mail.text}".lower()
    assert "sea face" in said
    assert not [word for word in ("ketamine", "depress", "follow", "lapse", "psychiat") if word in said]

    def sent() -> dict[str, Any] | None:
        rows = phone.send("GET", "reminders?status=sent").json()["results"]
        return next(
            (r for r in rows if {d["channel"] for d in r["deliveries"] if d["status"] == "sent"} >= {"email"}), None
        )

    reminder = stack.wait_for(sent)
    assert reminder["purpose"] == "appointment"
    acknowledged = phone.send("POST", f"reminders/{reminder['id']}/acknowledge")
    assert (acknowledged.status_code, acknowledged.json()["status"]) == (200, "acknowledged")
    assert phone.send("POST", f"reminders/{reminder['id']}/acknowledge").json() == acknowledged.json()
    ledger = doctor.send("GET", f"reminders?patient={cast.patient.id}").json()["results"]
    assert "acknowledged" in {row["status"] for row in ledger}
    assert len(stack.mails_to(cast.patient.email)) == 1
    outsider = Phone(stack, cast.outsider)
    assert outsider.send("GET", f"reminders/{reminder['id']}").status_code == 404
    assert outsider.send("GET", f"appointments/{id}").status_code == 404


def test_a_psychiatrist_reads_the_trend_and_the_outsider_does_not(stack: Stack, cast: Cast) -> None:
    enrol(cast.psychiatrist, cast.outsider)
    phone, doctor = Phone(stack, cast.patient), Phone(stack, cast.psychiatrist)
    now = clock.now()
    id = uuid.uuid4()
    assert phone.send("PUT", f"mood-check-ins/{id}", _check_in(now, 7)).status_code == 201
    for days in range(1, 4):
        phone.send("PUT", f"mood-check-ins/{uuid.uuid4()}", _check_in(now - timedelta(days=days), 3))
    trend = doctor.send("GET", f"patients/{cast.patient.id}/trend").json()
    assert (trend["patient"], trend["time_zone"], len(trend["days"])) == (str(cast.patient.id), "Asia/Kolkata", 90)
    today = trend["days"][-1]
    assert today["on"] == now.astimezone(MUMBAI).date().isoformat()
    assert (today["mood"], today["mean_7d"]) == ({"mean": 7, "count": 1}, 4)
    assert trend["days"][0]["mood"] is None
    assert phone.send("GET", "me/trend").json()["days"] == trend["days"]
    for stranger in (cast.outsider, cast.other_patient):
        assert Phone(stack, stranger).send("GET", f"patients/{cast.patient.id}/trend").status_code == 404
    closed = doctor.send("GET", f"patients/{cast.unassigned_patient.id}/trend")
    assert (closed.status_code, closed.json()["code"]) == (403, "break_glass_required")


def test_an_alert_goes_from_one_to_the_next_until_somebody_answers(stack: Stack, cast: Cast) -> None:
    enrol(cast.psychiatrist)
    with access.maintaining("test"):
        Person.objects.filter(id=cast.nurse.id).update(channels=["email"])
    with access.acting_as(cast.patient.id, cast.clinic.id, "test"):
        chain = escalation.open(
            person=cast.patient, clinic_id=cast.clinic.id, purpose="alert", about=About("alert", uuid.uuid4()),
            steps=[Step([cast.nurse.id], 10), Step([cast.psychiatrist.id], 10)], now=clock.now(),
        )  # fmt: skip
    (mail,) = stack.wait_for(lambda: stack.mails_to(cast.nurse.email))
    assert "ketamine" not in f"{mail.subject} {mail.text}".lower()
    with access.maintaining("test"):  # ten minutes later
        Escalation.objects.filter(id=chain.id).update(next_at=clock.now())
    doctor = Phone(stack, cast.psychiatrist)
    (told,) = stack.wait_for(lambda: doctor.send("GET", "reminders?purpose=alert&status=sent").json()["results"])
    assert doctor.send("POST", f"reminders/{told['id']}/acknowledge").status_code == 200

    def others() -> list[tuple[str, str]]:
        with access.maintaining("test"):
            return list(Reminder.objects.filter(person=cast.nurse, status="done").values_list("status", "reason"))

    assert stack.wait_for(others) == [("done", "answered_by_other")]
    assert "The psychiatrist answered" in doctor.send("GET", f"reminders/{told['id']}/explain").text
    assert len(stack.mails_to(cast.nurse.email)) == 1
