"""Series of appointments: bounded, always planned some weeks ahead, each occurrence answered by itself."""

import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from backend.accounts import access, counters
from backend.aftercare import appointments, occurrences
from backend.aftercare.models import Appointment
from tests.aftercare.test_appointments import NOW, body, in_thread, later, make, planned, reminders
from tests.cast import Cast


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    """All of it happens at one instant."""
    with time_machine.travel(NOW, tick=False):
        yield


def statuses(appointment: dict[str, Any], count: int) -> list[str]:
    """How the first occurrences stand."""
    return [row["status"] for row in appointment["occurrences"][:count]]


@pytest.mark.parametrize(
    "rrule",
    [
        "FREQ=DAILY;BYHOUR=9,10",
        f"FREQ=DAILY;BYHOUR={','.join(map(str, range(24)))};BYMINUTE={','.join(map(str, range(60)))}",
        f"FREQ=DAILY;RDATE={','.join(f'202612{day:02}T100000' for day in range(1, 31))}",
        "FREQ=WEEKLY\nEXDATE:00010101T000000",
        "FREQ=HOURLY",
    ],
)
def test_a_rule_that_happens_too_often_or_cannot_be_read_is_refused_at_its_field(cast: Cast, rrule: str) -> None:
    wanted = body(cast, starts_at=later(days=-1), rrule=rrule)
    refused = cast.client(cast.psychiatrist).send("PUT", f"appointments/{uuid.uuid4()}", wanted)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/rrule")


@pytest.mark.parametrize("rrule", [None, "FREQ=WEEKLY"])
def test_an_appointment_is_not_made_for_more_than_a_year_ago(cast: Cast, rrule: str | None) -> None:
    doctor = cast.client(cast.psychiatrist)
    refused = doctor.send("PUT", f"appointments/{uuid.uuid4()}", body(cast, starts_at=later(days=-366), rrule=rrule))
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/starts_at")


def test_a_series_that_began_long_ago_may_still_be_changed(cast: Cast) -> None:
    made = make(cast, rrule="FREQ=WEEKLY")
    with time_machine.travel(NOW + timedelta(days=500), tick=False):
        changed = body(cast, rrule="FREQ=WEEKLY", place="Room 3")
        answer = cast.client(cast.psychiatrist).send("PUT", f"appointments/{made['id']}", changed)
    assert (answer.status_code, answer.json()["place"]) == (200, "Room 3")


def test_a_series_entered_late_begins_yesterday_and_reminds_of_what_is_to_come(cast: Cast) -> None:
    made = make(cast, starts_at=later(days=-300, hours=-1), rrule="FREQ=DAILY")
    assert made["occurrences"][0]["starts_at"] == later(hours=-1)
    assert len(made["occurrences"]) == 91
    due = [at for at, _, _ in reminders(cast.client(cast.patient))]
    assert min(due) == NOW - timedelta(hours=1)  # the day before tomorrow's, which had passed already
    assert len(due) == 2 * 90


def test_a_visit_entered_afterwards_reminds_nobody(cast: Cast) -> None:
    make(cast, starts_at=later(days=-3))
    assert reminders(cast.client(cast.patient)) == []


def test_a_new_note_on_a_daily_series_costs_few_queries(cast: Cast) -> None:
    made, doctor = make(cast, rrule="FREQ=DAILY"), cast.client(cast.psychiatrist)
    changed = body(cast, rrule="FREQ=DAILY", note="Bring the diary.")
    with CaptureQueriesContext(connection) as queries:
        assert doctor.send("PUT", f"appointments/{made['id']}", changed).json()["version"] == 2
    assert len(queries) < 40


def test_a_missed_visit_leaves_the_series_as_it_is(cast: Cast) -> None:
    made = make(cast, starts_at=later(days=-7, hours=-1), rrule="FREQ=WEEKLY")
    before, doctor = planned(cast.client(cast.patient)), cast.client(cast.psychiatrist)
    missed = doctor.send("POST", f"appointments/{made['id']}/no-show").json()
    assert (missed["status"], statuses(missed, 2)) == ("planned", ["no_show", "planned"])
    assert missed["version"] == made["version"] + 1
    assert planned(cast.client(cast.patient)) == before
    assert doctor.send("POST", f"appointments/{made['id']}/no-show").json() == missed


@pytest.mark.parametrize("rrule", [None, "FREQ=WEEKLY"])
def test_nobody_has_missed_what_has_not_begun(cast: Cast, rrule: str | None) -> None:
    made = make(cast, rrule=rrule)
    early = cast.client(cast.psychiatrist).send("POST", f"appointments/{made['id']}/no-show")
    assert (early.status_code, early.json()["code"]) == (409, "not_begun")


def test_an_answer_to_a_series_is_about_the_next_visit(cast: Cast) -> None:
    made, phone = make(cast, rrule="FREQ=WEEKLY"), cast.client(cast.patient)
    for name, status in (("confirm", "confirmed"), ("ask-to-move", "move_asked")):
        answered = phone.send("POST", f"appointments/{made['id']}/{name}").json()
        assert (answered["status"], statuses(answered, 3)) == ("planned", [status, "planned", "planned"])
        assert phone.send("POST", f"appointments/{made['id']}/{name}").json() == answered


def test_a_series_that_is_cancelled_ends_and_what_was_stays(cast: Cast) -> None:
    made = make(cast, starts_at=later(hours=-1), rrule="FREQ=WEEKLY")
    ended = cast.client(cast.psychiatrist).send("POST", f"appointments/{made['id']}/cancel").json()
    assert (ended["status"], statuses(ended, 3)) == ("cancelled", ["planned", "cancelled", "cancelled"])
    phone = cast.client(cast.patient)
    assert planned(phone) == []
    answer = phone.send("POST", f"appointments/{made['id']}/confirm")
    assert (answer.status_code, answer.json()["code"]) == (409, "already_ended")


def test_one_visit_of_a_series_is_answered_by_itself(cast: Cast) -> None:
    made, phone = make(cast, rrule="FREQ=WEEKLY"), cast.client(cast.patient)
    second = f"appointments/{made['id']}/occurrences/{made['occurrences'][1]['id']}"
    assert statuses(phone.send("POST", f"{second}/confirm").json(), 3) == ["planned", "confirmed", "planned"]
    assert statuses(phone.send("POST", f"{second}/cancel").json(), 3) == ["planned", "cancelled", "planned"]
    assert {reason for _, _, reason in reminders(phone, status="skipped")} == {"appointment_cancelled"}
    assert len(planned(phone)) == 2 * (len(made["occurrences"]) - 1)
    doctor = cast.client(cast.psychiatrist)
    changed = doctor.send("PUT", f"appointments/{made['id']}", body(cast, rrule="FREQ=WEEKLY", note="New.")).json()
    assert statuses(changed, 3) == ["planned", "cancelled", "planned"]
    assert len(planned(phone)) == 2 * (len(made["occurrences"]) - 1)
    assert phone.send("POST", f"{second}/confirm").json()["code"] == "already_ended"
    third = f"appointments/{made['id']}/occurrences/{made['occurrences'][2]['id']}"
    assert doctor.send("POST", f"{third}/no-show").json()["code"] == "not_begun"
    unknown = f"appointments/{made['id']}/occurrences/{uuid.uuid4()}"
    assert phone.send("POST", f"{unknown}/confirm").status_code == 404


def test_a_series_goes_on_being_planned(cast: Cast) -> None:
    made = make(cast, rrule="FREQ=WEEKLY")
    assert occurrences.expand_all(now=NOW + timedelta(days=20)) == 0
    assert occurrences.expand_all(now=NOW + timedelta(days=40)) == 1
    after = cast.client(cast.patient).send("GET", f"appointments/{made['id']}").json()
    assert after["occurrences"][: len(made["occurrences"])] == made["occurrences"]
    assert after["occurrences"][-1]["starts_at"] > later(days=120)


def test_what_is_deleted_while_series_are_planned_on_stays_silent(cast: Cast) -> None:
    made, ready, over = make(cast, rrule="FREQ=WEEKLY"), threading.Event(), threading.Event()

    def delete() -> None:
        with access.maintaining("test"):
            counters.lock(patient_id=cast.patient.id)
            ready.set()
            over.wait(0.7)  # never set: long enough for the task to list the series and come up to the lock
            appointments.delete(appointment=Appointment.objects.get(id=made["id"]), now=NOW)

    thread = in_thread(delete)
    ready.wait(10)
    assert occurrences.expand_all(now=NOW + timedelta(days=40)) == 0
    thread.join()
    assert planned(cast.client(cast.patient)) == []


def test_a_series_that_cannot_be_read_stops_none_of_the_others(cast: Cast) -> None:
    broken, sound = make(cast, rrule="FREQ=WEEKLY"), make(cast, rrule="FREQ=WEEKLY", starts_at=later(days=4))
    with access.maintaining("test"):
        Appointment.objects.filter(id=broken["id"]).update(rrule="FREQ=NEVER", expanded_until_at=NOW)
    assert occurrences.expand_all(now=NOW + timedelta(days=40)) == 1
    after = cast.client(cast.patient).send("GET", f"appointments/{sound['id']}").json()
    assert len(after["occurrences"]) > len(sound["occurrences"])
