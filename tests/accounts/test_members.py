"""The clinic's people: its administrators see who belongs to it and let them go, and going is immediate."""

from typing import Any

from backend.accounts import access, people
from backend.accounts.models import Caregiver, CareTeamMember, Role
from backend.common import clock
from tests.cast import JOINED, Cast


def _of(cast: Cast, person: Any) -> str:
    path = f"clinics/{cast.clinic.id}/members?name={person.full_name}"
    rows = cast.client(cast.administrator).send("GET", path).json()["results"]
    return next(row["id"] for row in rows if row["person"] == str(person.id))


def test_administrators_and_auditors_see_everybody_of_the_clinic_and_nobody_elses(cast: Cast) -> None:
    path = f"clinics/{cast.clinic.id}/members"
    for reader in (cast.administrator, cast.auditor):
        names = {row["name"] for row in cast.client(reader).send("GET", path).json()["results"]}
        assert {"Patient", "Psychiatrist", "Auditor", "Unassigned Patient"} <= names
        assert not names & {"Outsider", "Outside Patient"}
    only = cast.client(cast.administrator).send("GET", f"{path}?role=nurse").json()["results"]
    assert [row["name"] for row in only] == ["Nurse"]
    assert cast.client(cast.psychiatrist).send("GET", path).status_code == 403
    with access.maintaining("test"):
        people.join(person=cast.outsider, clinic=cast.elsewhere, role=Role.ADMINISTRATOR, now=JOINED)
    assert cast.client(cast.outsider).send("GET", path).status_code == 404


def test_who_leaves_is_signed_out_and_off_all_care_teams_at_once(cast: Cast) -> None:
    doctor, id = cast.client(cast.psychiatrist), _of(cast, cast.psychiatrist)
    assert doctor.send("GET", f"patients/{cast.patient.id}").status_code == 200
    gone = cast.client(cast.administrator).send("DELETE", f"clinics/{cast.clinic.id}/members/{id}")
    assert gone.status_code == 204
    assert doctor.send("GET", "me").status_code == 401, "the token died with the last role"
    with access.maintaining("test"):
        assert not CareTeamMember.objects.filter(member=cast.psychiatrist, ended_at=None).exists()
    again = cast.client(cast.administrator).send("DELETE", f"clinics/{cast.clinic.id}/members/{id}")
    assert again.status_code == 404


def test_a_patient_who_leaves_takes_team_and_caregivers_along_and_keeps_another_clinic(cast: Cast) -> None:
    with access.maintaining("test"):
        people.join(person=cast.patient, clinic=cast.elsewhere, role=Role.PATIENT, now=JOINED)
        Caregiver.objects.create(
            clinic=cast.clinic, patient=cast.patient, person=cast.outside_patient, shares=["mood"], since_at=JOINED
        )
    phone = cast.client(cast.patient)
    path = f"clinics/{cast.clinic.id}/members/{_of(cast, cast.patient)}"
    assert cast.client(cast.administrator).send("DELETE", path).status_code == 204
    assert phone.send("GET", "me").status_code == 200, "still a patient elsewhere"
    with access.maintaining("test"):
        assert not CareTeamMember.objects.filter(patient=cast.patient, clinic=cast.clinic, ended_at=None).exists()
        assert not Caregiver.objects.filter(patient=cast.patient, ended_at=None).exists()


def test_the_last_administrator_stays(cast: Cast) -> None:
    path = f"clinics/{cast.clinic.id}/members/{_of(cast, cast.administrator)}"
    refused = cast.client(cast.administrator).send("DELETE", path)
    assert (refused.status_code, refused.json()["code"]) == (409, "last_administrator")
    with access.maintaining("test"):
        people.join(person=cast.auditor, clinic=cast.clinic, role=Role.ADMINISTRATOR, now=clock.now())
    assert cast.client(cast.administrator).send("DELETE", path).status_code == 204
