"""Caregivers see what the patient chose, never what was written, and nothing from the moment the patient says so."""

import re
import uuid
from typing import Any

from backend.accounts import access
from backend.accounts.models import OutboxMail
from tests.cast import PASSWORD, Cast, Client

MOOD = {"felt_at": "2026-11-20T08:00:00+05:30", "time_zone": "Asia/Kolkata", "mood": 4, "note": "only for my doctor"}
SLEEP = {"night_of": "2026-11-20", "minutes_asleep": 400, "quality": 5}
SISTER = {"email": "sister@example.org", "full_name": "Meera Rao", "shares": ["mood"]}


def _code() -> str:
    with access.maintaining("test"):
        mail = OutboxMail.objects.latest("created_at")
    found = re.search(r"^    (\S+)$", mail.text, re.M)
    assert found
    return found[1]


def _sister(cast: Cast, **more: Any) -> tuple[Client, str]:
    """The caregiver's phone after accepting, and the id under which the patient finds her."""
    phone = cast.client(cast.patient)
    made = phone.send("POST", "me/caregivers", SISTER | more)
    assert (made.status_code, made.json()["status"]) == (201, "invited"), made.content
    hers = Client()
    body = {"email": SISTER["email"], "password": PASSWORD, "invitation": _code()}
    joined = hers.send("POST", "auth/app/v1/auth/signup", body)
    assert joined.status_code == 200, joined.content
    hers.credentials(HTTP_AUTHORIZATION=f"Bearer {joined.json()['meta']['session_token']}")
    (row,) = phone.send("GET", "me/caregivers").json()["results"]
    assert row["status"] == "accepted"
    return hers, row["id"]


def test_a_caregiver_sees_what_is_shared_without_notes_and_nothing_else(cast: Cast) -> None:
    phone, mood, sleep = cast.client(cast.patient), uuid.uuid4(), uuid.uuid4()
    phone.send("PUT", f"mood-check-ins/{mood}", MOOD)
    phone.send("PUT", f"sleep-logs/{sleep}", SLEEP)
    hers, _ = _sister(cast)
    seen = hers.send("GET", f"mood-check-ins/{mood}").json()
    assert (seen["mood"], seen["note"]) == (4, "")
    listed = hers.send("GET", f"mood-check-ins?patient={cast.patient.id}").json()["results"]
    assert [(row["mood"], row["note"]) for row in listed] == [(4, "")]
    assert hers.send("GET", f"sleep-logs/{sleep}").status_code == 404
    assert hers.send("GET", f"sleep-logs?patient={cast.patient.id}").status_code == 404
    trend = hers.send("GET", f"patients/{cast.patient.id}/trend?since=2026-11-20&until=2026-11-21").json()
    assert trend["days"][0]["mood"]["mean"] == 4
    assert trend["days"][0]["sleep"] is None
    assert hers.send("GET", f"appointments?patient={cast.patient.id}").status_code == 404
    assert hers.send("GET", f"patients/{cast.patient.id}/care-team").status_code == 403
    (mine,) = hers.send("GET", "patients").json()["results"]
    assert (mine["name"], mine["born_on"]) == ("Patient", None)
    for other in (cast.other_patient, cast.outside_patient):
        assert hers.send("GET", f"patients/{other.id}").status_code == 404
        assert hers.send("GET", f"mood-check-ins?patient={other.id}").status_code == 404


def test_a_caregiver_changes_nothing(cast: Cast) -> None:
    phone, mood = cast.client(cast.patient), uuid.uuid4()
    phone.send("PUT", f"mood-check-ins/{mood}", MOOD)
    hers, _ = _sister(cast)
    for verb, body in (("PUT", MOOD | {"mood": 0}), ("PATCH", {"mood": 0}), ("DELETE", None)):
        assert hers.send(verb, f"mood-check-ins/{mood}", body).status_code == 403
    assert phone.send("GET", f"mood-check-ins/{mood}").json()["version"] == 1


def test_the_patient_changes_and_ends_it_at_once(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    phone.send("PUT", f"sleep-logs/{uuid.uuid4()}", SLEEP)
    hers, id = _sister(cast)
    sleep = f"sleep-logs?patient={cast.patient.id}"
    assert hers.send("GET", sleep).status_code == 404
    assert phone.send("PATCH", f"me/caregivers/{id}", {"shares": ["sleep"]}).json()["shares"] == ["sleep"]
    assert len(hers.send("GET", sleep).json()["results"]) == 1
    assert hers.send("GET", f"mood-check-ins?patient={cast.patient.id}").status_code == 404
    assert phone.send("DELETE", f"me/caregivers/{id}").status_code == 204
    assert hers.send("GET", sleep).status_code == 404
    assert phone.send("GET", f"me/caregivers/{id}").status_code == 404
    assert phone.send("GET", "me/caregivers").json()["results"] == []


def test_an_invitation_that_the_patient_took_back_lets_nobody_in(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    id = phone.send("POST", "me/caregivers", SISTER).json()["id"]
    code = _code()
    assert phone.send("DELETE", f"me/caregivers/{id}").status_code == 204
    body = {"email": SISTER["email"], "password": PASSWORD, "invitation": code}
    assert Client().send("POST", "auth/app/v1/auth/signup", body).status_code == 400


def test_whom_a_patient_invites_is_the_patients_own_business(cast: Cast) -> None:
    phone = cast.client(cast.patient)
    id = phone.send("POST", "me/caregivers", SISTER).json()["id"]
    for other in (cast.other_patient, cast.outside_patient):
        assert cast.client(other).send("GET", "me/caregivers").json()["results"] == []
        for verb, body in (("GET", None), ("PATCH", {"shares": ["sleep"]}), ("DELETE", None)):
            assert cast.client(other).send(verb, f"me/caregivers/{id}", body).status_code == 404
    for staff in (cast.psychiatrist, cast.administrator, cast.outsider):
        assert cast.client(staff).send("GET", "me/caregivers").status_code == 403
    assert cast.client(cast.administrator).send("GET", "invitations").json()["results"] == []
    refused = phone.send("POST", "me/caregivers", SISTER | {"shares": ["everything"]})
    assert refused.json()["errors"][0]["pointer"].startswith("/shares")
    refused = phone.send("POST", "me/caregivers", SISTER | {"email": cast.patient.email})
    assert refused.json()["errors"][0]["pointer"] == "/email"
