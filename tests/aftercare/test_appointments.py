"""Appointments: made and moved by the care team, answered by the patient, reminded of for as long as they stand."""

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connections

from backend.accounts import access, counters, people
from backend.accounts.models import Role
from backend.aftercare import appointments
from backend.aftercare.models import Appointment
from tests.cast import Cast, Client

NOW = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)  # 12:00 in Mumbai


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    """All of it happens at one instant."""
    with time_machine.travel(NOW, tick=False):
        yield


def later(**delta: float) -> str:
    """An instant so long after now."""
    return (NOW + timedelta(**delta)).isoformat()


def body(cast: Cast, **changes: Any) -> dict[str, Any]:
    """A visit in three days."""
    return {
        "patient": str(cast.patient.id), "kind": "therapy", "starts_at": later(days=3), "minutes": 50, **changes
    }  # fmt: skip


def make(cast: Cast, **changes: Any) -> dict[str, Any]:
    """The appointment as the psychiatrist made it."""
    answer = cast.client(cast.psychiatrist).send("PUT", f"appointments/{uuid.uuid4()}", body(cast, **changes))
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def reminders(phone: Client, **filters: str) -> list[tuple[datetime, str, str | None]]:
    """When, how it stands, and why, of the patient's reminders."""
    query = "&".join(f"{name}={value}" for name, value in {"limit": "200", **filters}.items())
    rows = phone.send("GET", f"reminders?{query}").json()["results"]
    return sorted((datetime.fromisoformat(row["due_at"]), row["status"], row["reason"]) for row in rows)


def planned(phone: Client) -> list[datetime]:
    """When the patient will be reminded."""
    return [at for at, _, _ in reminders(phone, status="planned")]


def in_thread(work: Any) -> threading.Thread:
    """Work on a database connection of its own."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_an_appointment_is_made_with_its_reminders(cast: Cast) -> None:
    made = make(cast)
    assert [(row["starts_at"], row["status"]) for row in made["occurrences"]] == [(later(days=3), "planned")]
    assert planned(cast.client(cast.patient)) == [NOW + timedelta(days=2), NOW + timedelta(days=3, hours=-2)]


def test_the_same_put_twice_is_the_same_as_once(cast: Cast) -> None:
    made = make(cast, rrule="FREQ=WEEKLY", exdates=[later(days=10)])
    again = cast.client(cast.psychiatrist).send("PUT", f"appointments/{made['id']}", made)
    assert (again.status_code, again.json()) == (200, made)


def test_a_moved_appointment_moves_its_reminders_and_tells_so(cast: Cast) -> None:
    made, phone, doctor = make(cast), cast.client(cast.patient), cast.client(cast.psychiatrist)
    phone.send("POST", f"appointments/{made['id']}/ask-to-move")
    moved = doctor.send("PUT", f"appointments/{made['id']}", body(cast, starts_at=later(days=4))).json()
    assert [row["starts_at"] for row in moved["occurrences"]] == [later(days=4)]
    assert (moved["status"], moved["occurrences"][0]["status"]) == ("planned", "planned")
    assert planned(phone) == [NOW + timedelta(days=3), NOW + timedelta(days=4, hours=-2)]
    gone = phone.send("GET", "reminders?status=skipped").json()["results"]
    assert [row["reason"] for row in gone] == ["appointment_moved"] * 2
    assert "was moved" in phone.send("GET", f"reminders/{gone[0]['id']}/explain").json()["text"]
    doctor.send("PUT", f"appointments/{made['id']}", body(cast))
    assert planned(phone) == [NOW + timedelta(days=2), NOW + timedelta(days=3, hours=-2)]


def test_a_day_taken_out_of_a_series_is_cancelled_and_not_moved(cast: Cast) -> None:
    made = make(cast, rrule="FREQ=WEEKLY")
    changed = body(cast, rrule="FREQ=WEEKLY", exdates=[later(days=10)])
    after = cast.client(cast.psychiatrist).send("PUT", f"appointments/{made['id']}", changed).json()
    assert len(after["occurrences"]) == len(made["occurrences"]) - 1
    skipped = reminders(cast.client(cast.patient), status="skipped")
    assert [reason for _, _, reason in skipped] == ["appointment_cancelled"] * 2


def test_a_cancelled_appointment_reminds_nobody_and_stays_cancelled(cast: Cast) -> None:
    made, doctor, phone = make(cast), cast.client(cast.psychiatrist), cast.client(cast.patient)
    path = f"appointments/{made['id']}"
    assert doctor.send("POST", f"{path}/cancel").json()["status"] == "cancelled"
    assert reminders(phone)
    assert {reason for _, _, reason in reminders(phone)} == {"appointment_cancelled"}
    cancelled = doctor.send("GET", path).json()
    for answer in (
        doctor.send("PUT", path, body(cast, starts_at=later(days=5))),
        phone.send("POST", f"{path}/confirm"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "already_ended")
        assert "make a new one" in answer.json()["detail"]
    assert doctor.send("PUT", path, body(cast)).json() == cancelled
    assert doctor.send("POST", f"{path}/cancel").json() == cancelled
    assert planned(phone) == []


def test_a_deleted_appointment_reminds_nobody_until_it_is_restored(cast: Cast) -> None:
    made, doctor, phone = make(cast), cast.client(cast.psychiatrist), cast.client(cast.patient)
    before, path = planned(phone), f"appointments/{made['id']}"
    gone = doctor.send("DELETE", path)
    assert gone.status_code == 204
    assert planned(phone) == []
    assert [doctor.send(verb, path, body(cast)).status_code for verb in ("GET", "PUT", "DELETE")] == [410] * 3
    assert phone.send("GET", "appointments").json()["results"] == []
    back = doctor.send("PUT", path, body(cast), If_Match=gone["ETag"])
    assert (back.status_code, back.json()["occurrences"]) == (200, made["occurrences"])
    assert planned(phone) == before


def test_a_change_from_an_old_version_is_refused(cast: Cast) -> None:
    made, doctor = make(cast), cast.client(cast.psychiatrist)
    path = f"appointments/{made['id']}"
    doctor.send("PUT", path, body(cast, note="Bring the diary."), If_Match='"1"')
    stale = doctor.send("PUT", path, body(cast, note="Come early."), If_Match='"1"')
    assert (stale.status_code, stale.json()["current"]["note"]) == (412, "Bring the diary.")


def test_the_outsider_sees_and_changes_nothing(cast: Cast) -> None:
    made = make(cast)
    path, occurrence = f"appointments/{made['id']}", made["occurrences"][0]["id"]
    for stranger in (cast.outsider, cast.nurse):
        client = cast.client(stranger)
        answers = [client.send(verb, path, body(cast)) for verb in ("GET", "PUT", "DELETE")]
        for name in ("confirm", "ask-to-move", "cancel", "no-show"):
            answers.append(client.send("POST", f"{path}/{name}"))
            answers.append(client.send("POST", f"{path}/occurrences/{occurrence}/{name}"))
        answers.append(client.send("GET", f"appointments?patient={cast.patient.id}"))
        assert {answer.status_code for answer in answers} == {404}
        assert client.send("GET", "appointments").json()["results"] == []
    assert cast.client(cast.other_patient).send("GET", path).status_code == 404
    assert cast.client(cast.psychiatrist).send("GET", path).json() == made


def test_a_patient_answers_an_appointment_and_does_not_write_it(cast: Cast) -> None:
    made, phone = make(cast), cast.client(cast.patient)
    path = f"appointments/{made['id']}"
    for name, status in (("confirm", "confirmed"), ("ask-to-move", "move_asked"), ("confirm", "confirmed")):
        answered = phone.send("POST", f"{path}/{name}").json()
        assert (answered["status"], answered["occurrences"][0]["status"]) == (status, status)
        assert phone.send("POST", f"{path}/{name}").json() == answered
    refused = [phone.send("PUT", path, body(cast)), phone.send("DELETE", path), phone.send("POST", f"{path}/no-show")]
    assert [answer.status_code for answer in refused] == [403] * 3
    assert len(planned(phone)) == 2


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/London"])
@pytest.mark.parametrize("at", [datetime(2026, 3, 2, 15, tzinfo=UTC), datetime(2026, 10, 5, 15, tzinfo=UTC)])
def test_a_series_keeps_its_wall_time_across_a_clock_change(cast: Cast, zone: str, at: datetime) -> None:
    with time_machine.travel(at - timedelta(days=2), tick=False):
        made = make(cast, starts_at=at.isoformat(), time_zone=zone, rrule="FREQ=WEEKLY")
    starts = [datetime.fromisoformat(row["starts_at"]) for row in made["occurrences"]]
    assert len(starts) == 13
    assert len({start.timetz() for start in starts}) == 2
    assert {start.astimezone(ZoneInfo(zone)).time() for start in starts} == {at.astimezone(ZoneInfo(zone)).time()}


def test_a_list_is_narrowed_by_time_kind_status_and_change(cast: Cast) -> None:
    doctor = cast.client(cast.psychiatrist)
    soon, late = make(cast, kind="follow_up"), make(cast, starts_at=later(days=20))
    other = make(cast, patient=str(cast.other_patient.id), starts_at=later(days=5))
    doctor.send("POST", f"appointments/{late['id']}/cancel")

    def ids(query: str) -> list[str]:
        rows = doctor.send("GET", f"appointments?{query}").json()["results"]
        return [row["id"] for row in rows]

    assert ids("") == [late["id"], other["id"], soon["id"]]
    assert ids(f"patient={cast.patient.id}") == [late["id"], soon["id"]]
    assert ids(f"since={later(days=5)}".replace("+", "%2B")) == [late["id"], other["id"]]
    assert ids(f"until={later(days=5)}".replace("+", "%2B")) == [soon["id"]]
    assert ids("kind=follow_up") == [soon["id"]]
    assert ids("status=cancelled") == [late["id"]]
    assert ids(f"patient={cast.patient.id}&changed_after={late['change_number']}") == [late["id"]]
    assert doctor.send("GET", "appointments?kind=lunch").status_code == 400


def test_a_patient_of_two_clinics_shows_each_only_what_it_made(cast: Cast) -> None:
    with access.maintaining("test"):
        people.join(person=cast.patient, clinic=cast.elsewhere, role=Role.PATIENT, now=NOW)
        people.put_on_care_team(
            clinic_id=cast.elsewhere.id, patient_id=cast.patient.id, member_id=cast.outsider.id, now=NOW
        )
    mumbai, london = cast.client(cast.psychiatrist), cast.client(cast.outsider)
    here = make(cast)["id"]
    there = str(uuid.uuid4())
    assert london.send("PUT", f"appointments/{there}", body(cast, place="Thames")).status_code == 201
    for client, seen, hidden in ((mumbai, here, there), (london, there, here)):
        for path in ("appointments", f"appointments?patient={cast.patient.id}"):
            assert [row["id"] for row in client.send("GET", path).json()["results"]] == [seen]
        assert client.send("GET", f"appointments/{hidden}").status_code == 404
    phone = cast.client(cast.patient, X_Clinic=str(cast.clinic.id))
    own = phone.send("GET", "appointments").json()["results"]
    assert {row["id"] for row in own} == {here, there}


def test_what_is_deleted_while_its_confirmation_waits_is_not_confirmed(cast: Cast) -> None:
    made, ready, over = make(cast), threading.Event(), threading.Event()

    def delete() -> None:
        with access.maintaining("test"):
            counters.lock(patient_id=cast.patient.id)
            ready.set()
            over.wait(0.7)  # never set: long enough for the other to come up to the lock
            appointments.delete(appointment=Appointment.objects.get(id=made["id"]), now=NOW)

    thread = in_thread(delete)
    ready.wait(10)
    answer = cast.client(cast.patient).send("POST", f"appointments/{made['id']}/confirm")
    thread.join()
    assert (answer.status_code, answer.json()["code"]) == (410, "deleted")


def test_one_id_for_two_patients_at_once_goes_to_the_first(cast: Cast) -> None:
    id, ready, over = uuid.uuid4(), threading.Event(), threading.Event()

    def first() -> None:
        with access.maintaining("test"):
            appointments.put(
                id=id, clinic=cast.clinic, patient=cast.other_patient, kind="therapy",
                starts_at=NOW + timedelta(days=1), minutes=50, now=NOW,
            )  # fmt: skip
            ready.set()
            over.wait(0.7)  # never set: the other waits for this transaction's end

    thread = in_thread(first)
    ready.wait(10)
    answer = cast.client(cast.psychiatrist).send("PUT", f"appointments/{id}", body(cast))
    thread.join()
    assert answer.status_code == 404


def test_an_instant_has_one_occurrence_id_in_any_offset(cast: Cast) -> None:
    doctor, id = cast.client(cast.psychiatrist), uuid.uuid4()
    answers = [
        doctor.send("PUT", f"appointments/{id}", body(cast, starts_at=at))
        for at in (
            "2026-11-27T12:00:00+05:30", "2026-11-30T12:00:00Z", "2026-11-27T06:30:00Z",
            "2026-11-28T06:29:00+23:59", "2026-11-26T06:31:00-23:59",
        )
    ]  # fmt: skip
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200]
    ids = [answer.json()["occurrences"][0]["id"] for answer in answers]
    assert len({ids[0], *ids[2:]}) == 1
    assert ids[1] != ids[0]
    left_out = doctor.send("PUT", f"appointments/{id}", body(cast, exdates=["2026-12-24T20:15:00+16:00"]))
    assert left_out.json()["exdates"] == ["2026-12-24T04:15:00+00:00"]
