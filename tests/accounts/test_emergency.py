"""Breaking the glass: a psychiatrist opens a colleague's patient's record, for four hours, and everyone is told."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from backend.accounts import access
from backend.accounts.models import BreakGlass, OutboxMail
from backend.common import clock
from tests.cast import Cast

REASON = "He called the ward and hung up; nobody of his team is reachable."
CHECK_IN = {"felt_at": "2026-11-20T08:00:00+05:30", "time_zone": "Asia/Kolkata", "mood": 2, "note": "cannot sleep"}


def _break(cast: Cast, who: Any, patient: Any, reason: str = REASON) -> Any:
    return cast.client(who).send("POST", f"patients/{patient.id}/break-glass", {"reason": reason})


def test_a_psychiatrist_opens_another_teams_record_for_four_hours(cast: Cast) -> None:
    id = uuid.uuid4()
    cast.client(cast.unassigned_patient).send("PUT", f"mood-check-ins/{id}", CHECK_IN)
    doctor, path = cast.client(cast.psychiatrist), f"patients/{cast.unassigned_patient.id}"
    assert doctor.send("GET", path).json()["code"] == "break_glass_required"
    assert doctor.send("GET", f"mood-check-ins/{id}").status_code == 404
    opened = _break(cast, cast.psychiatrist, cast.unassigned_patient)
    again = _break(cast, cast.psychiatrist, cast.unassigned_patient, "Another reason for the same emergency.")
    assert (opened.status_code, again.status_code) == (201, 200)
    assert opened.json() == again.json()
    for door in (path, f"{path}/trend", f"{path}/care-team", f"mood-check-ins/{id}"):
        assert doctor.send("GET", door).status_code == 200, door
    assert doctor.send("GET", f"mood-check-ins?patient={cast.unassigned_patient.id}").json()["results"]
    assert str(cast.unassigned_patient.id) not in str(doctor.send("GET", "patients").json()), "lists stay the team's"
    with time_machine.travel(clock.now() + timedelta(hours=4, minutes=1), tick=True):
        late = cast.client(cast.psychiatrist)
        assert late.send("GET", path).json()["code"] == "break_glass_required"
        assert late.send("GET", f"mood-check-ins/{id}").status_code == 404
        assert _break(cast, cast.psychiatrist, cast.unassigned_patient).status_code == 201


def test_patient_and_administrators_are_told_in_words_that_say_nothing_clinical(cast: Cast) -> None:
    _break(cast, cast.psychiatrist, cast.unassigned_patient)
    _break(cast, cast.psychiatrist, cast.unassigned_patient)
    with access.maintaining("test"):
        mails = {mail.recipient: mail for mail in OutboxMail.objects.all()}
        assert OutboxMail.objects.count() == 2
    assert mails.keys() == {cast.unassigned_patient.email, cast.administrator.email}
    for mail in mails.values():
        assert REASON not in mail.subject + mail.text
        assert "Unassigned" not in mail.subject + mail.text
        assert "Psychiatrist" not in mail.subject + mail.text, "names stand in no mail; the audit trail has them"
        assert "ketamine" not in (mail.subject + mail.text).lower()
    assert "look at the audit trail for who it was" in mails[cast.administrator.email].text


@pytest.mark.parametrize("who", ["therapist", "nurse", "administrator", "auditor", "patient"])
def test_only_a_psychiatrist_may(cast: Cast, who: str) -> None:
    assert _break(cast, getattr(cast, who), cast.unassigned_patient).status_code == 403


def test_another_clinics_patient_stays_unknown_whatever_is_broken(cast: Cast) -> None:
    assert _break(cast, cast.outsider, cast.unassigned_patient).status_code == 404
    assert _break(cast, cast.psychiatrist, cast.outside_patient).status_code == 404
    answer = cast.client(cast.psychiatrist).send("GET", f"patients/{cast.outside_patient.id}")
    assert answer.status_code == 404
    with access.maintaining("test"):
        assert not BreakGlass.objects.exists()


def test_the_own_team_needs_no_emergency_and_a_reason_is_a_reason(cast: Cast) -> None:
    assert _break(cast, cast.psychiatrist, cast.patient).json()["code"] == "on_the_team"
    for reason in ("", "short", " " * 20):
        refused = _break(cast, cast.psychiatrist, cast.unassigned_patient, reason)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/reason")


def test_other_teams_patients_are_found_by_exact_name_and_birth_date_and_little_is_told(cast: Cast) -> None:
    with access.maintaining("test"):
        for person in (cast.unassigned_patient, cast.outside_patient):
            person.born_on = "1980-02-29"
            person.save(update_fields=["born_on"])

    def found(who: Any, name: str, born_on: str = "1980-02-29") -> list[dict[str, Any]]:
        answer = cast.client(who).send("GET", f"patients?name={name}&born_on={born_on}")
        assert answer.status_code == 200, answer.content
        return list(answer.json()["results"])

    (one,) = found(cast.psychiatrist, "unassigned patient")
    assert (one["id"], one["time_zone"], one["country"]) == (str(cast.unassigned_patient.id), "", "")
    assert found(cast.psychiatrist, "unassigned") == []
    assert found(cast.psychiatrist, "Unassigned Patient", "1980-03-01") == []
    assert found(cast.psychiatrist, "Outside Patient") == []
    assert found(cast.therapist, "Unassigned Patient") == []
    assert found(cast.outsider, "Unassigned Patient") == []
    refused = cast.client(cast.psychiatrist).send("GET", "patients?born_on=1980-02-29")
    assert refused.json()["errors"][0]["pointer"] == "name"
