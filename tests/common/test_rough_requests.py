"""Requests from rough places: odd offsets, made-up cursors, capitals, deep nesting, a wrong host. Never a 500."""

import base64
import uuid
from urllib.parse import urlencode

import pytest
from django.test import Client as Browser

from backend.aftercare.entries import SubstanceEntry
from backend.common import bodies
from backend.common.problems import Problem
from tests.aftercare.test_logs import BODIES, FELT
from tests.cast import Cast, Client

FAR_OFFSETS = ("2026-12-24T20:15:00+23:59", "2026-12-24T20:15:00-23:59", "2026-12-24T20:15:00+16:00")
LISTS = ("mood-check-ins", "sleep-logs", "appointments", "reminders")


def _cursor(position: str) -> str:
    return urlencode({"cursor": base64.b64encode(urlencode({"p": position, "o": "1"}).encode()).decode()})


def test_an_offset_that_only_iso_8601_knows_is_an_instant_like_any_other(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    for at in FAR_OFFSETS:
        for path in ("mood-check-ins", "appointments", "reminders"):
            assert phone.send("GET", f"{path}?{urlencode({'since': at})}").status_code == 200
        body = {"felt_at": at.replace("2026-12", "2026-10"), "time_zone": "UTC", "mood": 3, "sent_at": at}
        assert phone.send("PUT", f"mood-check-ins/{uuid.uuid4()}", body).status_code == 201


@pytest.mark.parametrize("position", ["\x00", "a\x00b", "9999-12-31T23:59:59-23:59", "infinity", "99999-01-01", "x"])
def test_a_cursor_that_we_did_not_give_out_is_refused(cast: Cast, position: str) -> None:
    phone, doctor = cast.client(cast.patient), cast.client(cast.psychiatrist)
    answers = [phone.send("GET", f"{path}?{_cursor(position)}") for path in LISTS]
    answers.append(doctor.send("GET", f"patients?{_cursor(position)}"))
    assert {answer.status_code for answer in answers} <= {200, 400}


def test_a_word_with_a_newline_behind_it_is_another_word(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    for kind, field in (
        ("substance-logs", "substance"),
        ("side-effects", "kind"),
        ("exercise-logs", "kind"),
        ("exercise-logs", "intensity"),
    ):
        body = BODIES[kind] | {field: f"{BODIES[kind][field]}\n"}
        answer = phone.send("PUT", f"{kind}/{uuid.uuid4()}", body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, f"/{field}")
        record = body | {"id": str(uuid.uuid4())}
        good = BODIES[kind] | {"id": str(uuid.uuid4())}
        results = phone.send("POST", f"{kind}/batch", {"records": [record, good]}).json()["results"]
        assert [result["outcome"] for result in results] == ["rejected", "created"]
    with pytest.raises(Problem):
        bodies.convert({"day": "2026-03-02", "substance": "alcohol\n", "used": True}, SubstanceEntry)


def test_an_id_in_capitals_is_the_same_id(cast: Cast) -> None:
    phone, id = cast.client(cast.patient), uuid.uuid4()
    body = {"felt_at": FELT, "time_zone": "Asia/Kolkata", "mood": 3}
    made = phone.send("PUT", f"mood-check-ins/{str(id).upper()}", body | {"id": str(id).upper()})
    assert (made.status_code, made.json()["id"]) == (201, str(id))
    assert phone.send("PUT", f"mood-check-ins/{id}", body).json() == made.json()


def test_head_asks_for_the_same_right_as_get(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    for path in ("invitations", "patients"):
        assert phone.send("HEAD", path).status_code == phone.send("GET", path).status_code == 403


def test_sign_in_bodies_of_any_depth_are_refused(cast: Cast) -> None:
    for depth in (33, 200, 960, 1000, 1020, 5000):
        body = b'{"email": ' + b"[" * depth + b"]" * depth + b"}"
        answer = Client().generic("POST", "/api/v1/auth/app/v1/auth/login", body, content_type="application/json")
        assert answer.status_code == 400, depth


@pytest.mark.usefixtures("database")
def test_a_host_that_is_not_ours_is_400_for_people_and_programs() -> None:
    browser = Browser(raise_request_exception=False)
    for path in ("/sign-in", "/", "/api/v1/", "/no-such-page"):
        assert browser.get(path, headers={"host": "evil.example"}).status_code == 400


def test_answers_about_people_are_kept_nowhere_on_the_way(cast: Cast) -> None:
    doctor = cast.client(cast.psychiatrist)
    for path in (f"patients/{cast.patient.id}", f"patients/{cast.patient.id}/trend", "patients"):
        assert doctor.send("GET", path)["Cache-Control"] == "no-store"


def test_a_value_that_only_the_database_refuses_is_a_400_and_stores_nothing(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    body = BODIES["substance-logs"] | {"note": "x" * 4000, "amount": 999_999.999}
    assert phone.send("PUT", f"substance-logs/{uuid.uuid4()}", body).status_code in {201, 400}
