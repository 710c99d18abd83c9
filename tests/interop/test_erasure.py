"""Erased is erased: in every table, in the files, and after a restore; and what must stay says why it stays."""

import json
import os
import signal
import subprocess
import sys
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, connection

from backend.accounts import access, people
from backend.accounts.holdings import Fate, holdings
from backend.accounts.models import Person
from backend.common import clock
from backend.interop import erasure, ledger, work
from tests.cast import Cast
from tests.interop.life import as_owner, ask, everywhere, held, join_elsewhere, lead, made
from tests.live import environment

REQUESTS = "erasure-requests"
WHOSE = ("patient_id", "person_id", "user_id")


def wish(cast: Cast, person: Person, **body: Any) -> dict[str, Any]:
    """A confirmed request, its days over."""
    client = cast.client(person)
    asked = client.send("POST", REQUESTS, body)
    assert asked.status_code == 201, asked.content
    confirmed = client.send("POST", f"{REQUESTS}/{asked.json()['id']}/confirm", {"confirm": True})
    assert confirmed.status_code == 200, confirmed.content
    result: dict[str, Any] = confirmed.json()
    return result


def days_pass(request: dict[str, Any]) -> None:
    """The days in which it could be taken back are over."""
    as_owner(
        "UPDATE interop_erasurerequest SET erase_after_at = now() - interval '1 second' WHERE id = %s", [request["id"]]
    )


def entries() -> list[ledger.Entry]:
    """What the ledger outside the database says."""
    return list(ledger.read(Path(settings.ERASURES_FILE)))


def test_every_table_that_names_a_person_is_declared_as_erased_or_kept(database: str) -> None:
    columns = as_owner(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' "
        "AND column_name = ANY(%s)",
        [list(WHOSE)],
    )
    declared = {(holding.table, holding.holder) for holding in holdings()}
    actors = {
        # The clinician who opened a record in an emergency; the one for whom an export of a patient was made.
        ("accounts_breakglass", "person_id"),
        ("interop_export", "person_id"),
    }
    frameworks = {table for (table, _) in columns if table.startswith(("auth_", "django_"))}
    undeclared = {pair for pair in columns if pair not in declared | actors and pair[0] not in frameworks}
    assert undeclared == set(), "declare it in the room's held.py: erased, or kept and why"
    gone = {(h.table, h.holder) for h in holdings() if not h.by_address and h.table != "accounts_person"} - set(columns)
    assert gone == set(), "declared, and not in the database"


def test_nothing_of_an_erased_person_is_left_in_any_table_or_file(cast: Cast) -> None:
    for patient in (cast.patient, cast.other_patient):
        lead(cast, patient, doctor=cast.psychiatrist, clinic_id=cast.clinic.id)
    made(cast, cast.patient)
    before = held(cast.other_patient)
    assert len(held(cast.patient)) > 20, "there is something in each table"
    request = wish(cast, cast.patient, reason="I move away")
    phone = cast.client(cast.patient)
    days_pass(request)
    work.round(now=clock.now())
    for trace in ("canary of Patient", "[^_]patient@example.org", "I move away"):
        assert everywhere(trace) == {}, trace
    assert held(cast.patient) == {}
    assert "accounts_session" not in everywhere(str(cast.patient.id))
    assert held(cast.other_patient) == before, "and nothing of anybody else"
    assert list(Path(settings.EXPORTS_DIR).glob("*")) == []
    assert phone.send("GET", "me").status_code == 401
    assert cast.client(cast.psychiatrist).send("GET", f"patients/{cast.patient.id}").status_code == 404
    report = cast.client(cast.administrator).send("GET", f"{REQUESTS}/{request['id']}").json()
    assert (report["status"], report["reason"]) == ("erased", "")
    told = report["report"]
    assert told["erased"]["aftercare_moodcheckin"] == told["erased"]["aftercare_moodcheckinevent"] == 1
    assert told["erased"]["accounts_person"] == told["erased"]["accounts_datakey"] == 1
    assert told["data_key"] == "deleted"
    assert set(told["kept"]) >= {h.table for h in holdings() if h.fate is Fate.KEPT} | {"audit"}
    assert all(told["kept"].values()), "each says why"
    assert [(e.request, e.patient) for e in entries()] == [(uuid.UUID(request["id"]), cast.patient.id)]
    assert Path(settings.ERASURES_FILE).stat().st_mode & 0o777 == 0o600


def test_it_takes_two_steps_and_days_and_can_be_taken_back(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    asked = phone.send("POST", REQUESTS, {})
    assert (asked.status_code, asked.json()["status"]) == (201, "asked")
    assert phone.send("POST", REQUESTS, {}).json() == asked.json()
    step = f"{REQUESTS}/{asked.json()['id']}"
    for body in ({}, {"confirm": False}, {"confirm": "true"}, {"confirm": None}):
        assert phone.send("POST", f"{step}/confirm", body).status_code == 400
    confirmed = phone.send("POST", f"{step}/confirm", {"confirm": True}).json()
    assert confirmed["status"] == "cooling"
    assert phone.send("POST", f"{step}/confirm", {"confirm": True}).json() == confirmed
    work.round(now=clock.now() + timedelta(days=6, hours=23))
    assert phone.send("GET", step).json()["status"] == "cooling"
    work.round(now=clock.now() + timedelta(days=8))
    assert phone.send("GET", step).json()["status"] == "cooling", "a clock that runs ahead erases nobody"
    cancelled = phone.send("POST", f"{step}/cancel").json()
    assert cancelled["status"] == "cancelled"
    assert phone.send("POST", f"{step}/cancel").json() == cancelled
    assert phone.send("POST", f"{step}/confirm", {"confirm": True}).status_code == 409
    days_pass(confirmed)
    work.round(now=clock.now())
    assert phone.send("GET", "me").status_code == 200
    assert entries() == []
    assert phone.send("POST", REQUESTS, {}).status_code == 201, "and may be asked for again"


def test_the_days_are_the_clinics(cast: Cast) -> None:
    office = cast.client(cast.administrator)
    assert office.send("GET", "rights-settings").json() == {"cooling_off_days": 7, "export_hours": 72}
    assert office.send("PATCH", "rights-settings", {"cooling_off_days": 0}).json()["cooling_off_days"] == 0
    for wrong in ({"cooling_off_days": -1}, {"cooling_off_days": 31}, {"export_hours": 0}, {"days": 1}):
        assert office.send("PATCH", "rights-settings", wrong).status_code == 400
    request = wish(cast, cast.patient)
    assert request["erase_after_at"] == request["confirmed_at"]
    phone = cast.client(cast.patient)
    work.round(now=clock.now())
    assert phone.send("GET", "me").status_code == 401
    assert cast.client(cast.psychiatrist).send("PATCH", "rights-settings", {}).status_code == 403
    assert cast.client(cast.outside_patient).send("GET", "rights-settings").status_code == 403


def test_a_legal_hold_keeps_the_record_until_it_is_lifted(cast: Cast) -> None:
    office, phone = cast.client(cast.administrator), cast.client(cast.patient)
    hold = {"patient": str(cast.patient.id), "reason": "Court order 7 of 2026"}
    put = office.send("POST", "legal-holds", hold)
    assert put.status_code == 201, put.content
    assert office.send("POST", "legal-holds", hold).json() == put.json()
    request = wish(cast, cast.patient)
    assert request["status"] == "held"
    assert "Court" not in json.dumps(phone.send("GET", f"{REQUESTS}/{request['id']}").json())
    days_pass(request)
    work.round(now=clock.now())
    assert phone.send("GET", f"{REQUESTS}/{request['id']}").json()["status"] == "held"
    with (
        pytest.raises(DatabaseError, match="legal hold"),
        access.acting_as(None, None, "erasures"),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT interop_begin_erasure(%s)", [request["id"]])
    assert office.send("POST", f"legal-holds/{put.json()['id']}/lift", {"reason": ""}).status_code == 400
    lifted = office.send("POST", f"legal-holds/{put.json()['id']}/lift", {"reason": "Case closed"})
    assert lifted.json()["lift_reason"] == "Case closed"
    assert office.send("POST", f"legal-holds/{put.json()['id']}/lift", {"reason": "Twice"}).json() == lifted.json()
    work.round(now=clock.now())
    assert phone.send("GET", "me").status_code == 401
    shown = office.send("GET", f"legal-holds?patient={cast.patient.id}").json()["results"]
    assert [(row["reason"], row["lift_reason"]) for row in shown] == [("", "")], "its words were about the person"


def test_an_administrator_asks_on_behalf_with_a_reason(cast: Cast) -> None:
    office = cast.client(cast.administrator)
    body = {"patient": str(cast.patient.id)}
    assert office.send("POST", REQUESTS, body).status_code == 400
    request = wish(cast, cast.administrator, **body, reason="Asked by letter of 3 November")
    assert (request["source"], request["status"]) == ("administrator", "cooling")
    phone = cast.client(cast.patient)
    assert phone.send("GET", f"{REQUESTS}/{request['id']}").json()["status"] == "cooling", "the patient sees it"
    assert phone.send("POST", f"{REQUESTS}/{request['id']}/cancel").json()["status"] == "cancelled", "and may stop it"
    assert office.send("POST", REQUESTS, {"reason": "mine"}).status_code == 400
    join_elsewhere(cast, cast.patient)
    refused = office.send("POST", REQUESTS, body | {"reason": "Asked by letter"})
    assert (refused.status_code, refused.json()["code"]) == (409, "patient_elsewhere")


def test_strangers_neither_ask_nor_see_nor_hold(cast: Cast) -> None:
    request = wish(cast, cast.patient)
    path = f"{REQUESTS}/{request['id']}"
    body = {"patient": str(cast.patient.id), "reason": "for fun"}
    for staff in (cast.psychiatrist, cast.nurse, cast.auditor, cast.outsider):
        client = cast.client(staff)
        assert client.send("GET", path).status_code == 403
        assert client.send("POST", f"{path}/cancel").status_code == 403
        assert client.send("POST", REQUESTS, body).status_code == 403
        assert client.send("POST", "legal-holds", body).status_code == 403
    for patient in (cast.other_patient, cast.outside_patient):
        client = cast.client(patient)
        assert client.send("GET", path).status_code == 404
        assert client.send("POST", f"{path}/confirm", {"confirm": True}).status_code == 404
        assert client.send("POST", f"{path}/cancel").status_code == 404
        assert client.send("POST", REQUESTS, body).status_code == 404
        assert client.send("GET", REQUESTS).json()["results"] == []
    office = cast.client(cast.administrator)
    foreign = {"patient": str(cast.outside_patient.id), "reason": "not ours"}
    assert office.send("POST", REQUESTS, foreign).status_code == 404
    assert office.send("POST", "legal-holds", foreign).status_code == 404
    assert office.send("POST", f"legal-holds/{uuid.uuid4()}/lift", {"reason": "none"}).status_code == 404
    assert cast.client().send("POST", REQUESTS, {}).status_code == 401


def test_someone_who_also_works_at_a_clinic_keeps_the_account_and_nothing_else(cast: Cast) -> None:
    lead(cast, cast.patient, doctor=cast.psychiatrist, clinic_id=cast.clinic.id)
    with access.maintaining("test"):
        people.join(person=cast.patient, clinic=cast.clinic, role="nurse", now=clock.now())
    request = wish(cast, cast.patient)
    days_pass(request)
    work.round(now=clock.now())
    account = {"accounts_person", "accounts_membership", "accounts_device", "accounts_zonestay"}
    assert set(held(cast.patient)) <= account
    me = cast.client(cast.patient).send("GET", "me").json()
    assert [role["role"] for role in me["memberships"]] == ["nurse"] if "memberships" in me else me["email"]
    report = cast.client(cast.administrator).send("GET", f"{REQUESTS}/{request['id']}").json()["report"]
    assert report["account_kept"] is True
    assert "works at a clinic" in report["kept"]["accounts_person"]


def test_the_application_can_erase_nobody_without_an_approved_request(cast: Cast) -> None:
    lead(cast, cast.patient, doctor=cast.psychiatrist, clinic_id=cast.clinic.id)
    request = wish(cast, cast.patient)

    def refused(statement: str, values: list[Any], says: str) -> None:
        for person, clinic, purpose in (
            (None, None, "erasures"),
            (cast.patient.id, cast.clinic.id, "test"),
            (None, cast.clinic.id, "test"),
        ):
            with (
                pytest.raises(DatabaseError, match=says),
                access.acting_as(person, clinic, purpose),
                connection.cursor() as cursor,
            ):
                cursor.execute(statement, values)

    rows = "SELECT interop_erase_rows(%s, %s, 'patient_id', false)"
    refused(rows, [uuid.uuid4(), "aftercare_moodcheckin"], "nobody approved")
    refused(rows, [request["id"], "aftercare_moodcheckin"], "nobody approved")
    refused("SELECT interop_begin_erasure(%s)", [request["id"]], "not due")
    days_pass(request)
    as_owner("UPDATE interop_erasurerequest SET status = 'erasing' WHERE id = %s", [request["id"]])
    refused(rows, [request["id"], "interop_erasurerequest"], "never erased")
    refused(rows, [request["id"], "accounts_auditevent"], "never erased")
    assert "aftercare_moodcheckin" in held(cast.patient)


@pytest.mark.parametrize("where", ["begun", "in the ledger", "half of the tables"])
def test_a_killed_erasure_is_done_by_the_next_round_and_never_half_done(cast: Cast, where: str, tmp_path: Path) -> None:
    lead(cast, cast.patient, doctor=cast.psychiatrist, clinic_id=cast.clinic.id)
    request = wish(cast, cast.patient)
    rows = held(cast.patient)
    days_pass(request)
    script = tmp_path / "dies.py"
    script.write_text(_DIES)
    database = connection.settings_dict["NAME"]
    run = subprocess.run(
        [sys.executable, str(script), where],
        env=environment(
            database, EXPORTS_DIR=str(settings.EXPORTS_DIR), ERASURES_LEDGER=str(settings.ERASURES_FILE),
            PYTHONPATH=str(Path(__file__).resolve().parents[2]),
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )  # fmt: skip
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert held(cast.patient) == rows, "all of it or nothing"
    assert len(entries()) == (0 if where == "begun" else 1)
    assert cast.client(cast.patient).send("POST", f"{REQUESTS}/{request['id']}/cancel").status_code in {401, 409}
    work.round(now=clock.now())
    assert held(cast.patient) == {}
    assert [entry.patient for entry in entries()] == [cast.patient.id], "once, however often it was tried"


_DIES = """
import os, signal, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "backend.config.settings"
import django
django.setup()
from backend.common import clock
from backend.interop import erasure, ledger

where, add, call, calls = sys.argv[1], ledger.add, erasure._call, []

def die(): os.kill(os.getpid(), signal.SIGKILL)

def added(path, entry):
    if where == "begun":
        die()
    add(path, entry)
    if where == "in the ledger":
        die()

def called(function, *values):
    calls.append(function)
    if where == "half of the tables" and calls.count("interop_erase_rows") == 12:
        die()
    return call(function, *values)

erasure.ledger.add, erasure._call = added, called
erasure.run_due(now=clock.now())
"""


def test_a_restored_backup_does_not_bring_an_erased_person_back(cast: Cast) -> None:
    for patient in (cast.patient, cast.other_patient):
        lead(cast, patient, doctor=cast.psychiatrist, clinic_id=cast.clinic.id)
    others = held(cast.other_patient)
    # The ledger knows of an erasure that the database, as old as its backup, has never heard of.
    path, at = Path(settings.ERASURES_FILE), clock.now() - timedelta(days=1)
    ledger.add(path, ledger.Entry(uuid.uuid4(), cast.patient.id, at))
    ledger.add(path, ledger.Entry(uuid.uuid4(), uuid.uuid4(), at))
    assert held(cast.patient)
    assert erasure.replay(path) == erasure.Replayed(entries=2, erased=2)
    assert held(cast.patient) == {}
    assert held(cast.other_patient) == others
    assert erasure.replay(path) == erasure.Replayed(entries=2, erased=0), "twice is the same as once"
    assert len(entries()) == 2, "and the ledger is as it was"


def test_a_replay_goes_over_what_the_backup_says_of_requests_and_holds(cast: Cast) -> None:
    request = wish(cast, cast.patient)
    office = cast.client(cast.administrator)
    office.send("POST", "legal-holds", {"patient": str(cast.patient.id), "reason": "lifted after the backup"})
    again = wish(cast, cast.other_patient)
    path = Path(settings.ERASURES_FILE)
    ledger.add(path, ledger.Entry(uuid.UUID(request["id"]), cast.patient.id, clock.now() - timedelta(hours=1)))
    ledger.add(path, ledger.Entry(uuid.uuid4(), cast.other_patient.id, clock.now() - timedelta(hours=1)))
    assert erasure.replay(path).erased == 2
    assert cast.client(cast.administrator).send("GET", f"{REQUESTS}/{request['id']}").json()["status"] == "erased"
    assert office.send("GET", f"{REQUESTS}/{again['id']}").json()["status"] == "cancelled"


def test_a_ledger_that_was_cut_off_is_read_and_one_that_was_changed_is_not(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "erasures.jsonl"
    assert list(ledger.read(path)) == []
    first, second = (ledger.Entry(uuid.uuid4(), uuid.uuid4(), clock.now()) for _ in range(2))
    ledger.add(path, first)
    with open(path, "ab") as file:
        file.write(b'{"request":"0193')
    ledger.add(path, second)
    assert list(ledger.read(path)) == [first, second]
    os.truncate(path, path.stat().st_size - 3)
    assert list(ledger.read(path)) == [first]
    path.write_bytes(path.read_bytes().replace(b'"patient"', b'"patinet"'))
    with pytest.raises(ledger.Unreadable, match="Line 1"):
        list(ledger.read(path))


def test_an_export_that_waits_goes_with_its_person(cast: Cast) -> None:
    ask(cast, cast.psychiatrist, about=str(cast.patient.id))
    request = wish(cast, cast.patient)
    days_pass(request)
    erasure.run_due(now=clock.now())
    work.round(now=clock.now())
    assert cast.client(cast.psychiatrist).send("GET", "exports").json()["results"] == []
    assert list(Path(settings.EXPORTS_DIR).glob("*")) == []
