"""The fixed small cast: one clinic in Mumbai, one in London, and the outsider who must never see anything."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import requests
from django.contrib.auth.hashers import make_password
from rest_framework.test import APIClient

from backend.accounts import access, consents, people, tokens
from backend.accounts.consent_texts import BUILT_IN
from backend.accounts.models import Clinic, ConsentRecord, Person, Role
from backend.common import clock

PASSWORD = "correct horse battery"
JOINED = datetime(2026, 1, 5, 4, 30, tzinfo=UTC)


@cache
def _hash() -> str:
    return make_password(PASSWORD)


@dataclass
class Cast:
    """Everyone, by the part that they play."""

    clinic: Clinic
    elsewhere: Clinic
    patient: Person
    other_patient: Person
    unassigned_patient: Person
    psychiatrist: Person
    therapist: Person
    nurse: Person
    administrator: Person
    auditor: Person
    outsider: Person
    outside_patient: Person

    def client(self, person: Person | None = None, **headers: str) -> "Client":
        """A client of the API that is signed in as the person, or as nobody."""
        client = Client()
        if person is not None:
            token = tokens.issue(person=person, now=clock.now(), lifetime=timedelta(hours=1))
            client.token = token
            headers["Authorization"] = f"Bearer {token}"
        client.credentials(**{f"HTTP_{name.replace('-', '_').upper()}": value for name, value in headers.items()})
        return client


class Client(APIClient):
    """DRF's client, with JSON as the only language."""

    token: str = ""

    def send(self, verb: str, path: str, body: Any = None, **headers: str) -> Any:
        """Sends JSON to a path below /api/v1/."""
        extra = {f"HTTP_{name.replace('-', '_').upper()}": value for name, value in headers.items()}
        return self.generic(
            verb.upper(),
            f"/api/v1/{path}" if not path.startswith(("/", "http")) else path.removeprefix("http://testserver"),
            b"" if body is None else requests.compat.json.dumps(body).encode(),
            content_type="application/json",
            **extra,
        )


def _person(name: str, clinic: Clinic, role: str, zone: str, **profile: Any) -> Person:
    person = people.create(
        email=f"{name}@example.org", full_name=name.replace("_", " ").title(), time_zone=zone, now=JOINED, **profile
    )
    person.password = _hash()
    person.save(update_fields=["password"])
    people.join(person=person, clinic=clinic, role=role, now=JOINED)
    return person


def assemble() -> Cast:
    """Puts the cast into the database."""
    with access.maintaining("cast"):
        clinic = Clinic.objects.create(
            id=uuid.UUID(int=1), name="Sea Face Clinic", short_name="Sea Face", country="IN",
            time_zone="Asia/Kolkata", phone="+91 22 5550 0100", created_at=JOINED,
        )  # fmt: skip
        elsewhere = Clinic.objects.create(
            id=uuid.UUID(int=2), name="Thames Clinic", short_name="Thames", country="GB",
            time_zone="Europe/London", phone="+44 20 5550 0100", created_at=JOINED,
        )  # fmt: skip
        patient_profile = {"country": "IN", "channels": ["email"]}
        mumbai, london = "Asia/Kolkata", "Europe/London"
        cast = Cast(
            clinic=clinic,
            elsewhere=elsewhere,
            patient=_person("patient", clinic, Role.PATIENT, mumbai, **patient_profile),
            other_patient=_person("other_patient", clinic, Role.PATIENT, mumbai, **patient_profile),
            unassigned_patient=_person("unassigned_patient", clinic, Role.PATIENT, mumbai, **patient_profile),
            psychiatrist=_person("psychiatrist", clinic, Role.PSYCHIATRIST, mumbai),
            therapist=_person("therapist", clinic, Role.THERAPIST, mumbai),
            nurse=_person("nurse", clinic, Role.NURSE, mumbai),
            administrator=_person("administrator", clinic, Role.ADMINISTRATOR, mumbai),
            auditor=_person("auditor", clinic, Role.AUDITOR, mumbai),
            outsider=_person("outsider", elsewhere, Role.PSYCHIATRIST, london),
            outside_patient=_person("outside_patient", elsewhere, Role.PATIENT, london, channels=["email"]),
        )
        for patient, member, at in (
            (cast.patient, cast.psychiatrist, clinic),
            (cast.patient, cast.therapist, clinic),
            (cast.other_patient, cast.psychiatrist, clinic),
            (cast.outside_patient, cast.outsider, elsewhere),
        ):
            people.put_on_care_team(clinic_id=at.id, patient_id=patient.id, member_id=member.id, now=JOINED)
        agree(clinic, cast.patient, cast.other_patient, cast.unassigned_patient)
        agree(elsewhere, cast.outside_patient)
    return cast


def agree(clinic: Clinic, *patients: Person) -> None:
    """These patients agree to all that they are asked in this clinic; inside a door."""
    ConsentRecord.objects.bulk_create(
        consents.first_agreement(patient_id=patient.id, clinic_id=clinic.id, words=words, now=JOINED)
        for patient in patients
        for words in BUILT_IN
    )
