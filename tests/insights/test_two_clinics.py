"""A patient of two clinics: each sees the sessions that it held itself, the patient sees all."""

from datetime import timedelta

from backend.accounts import access, counters, people
from backend.accounts.models import Clinic, Role
from backend.common import clock
from backend.treatment.models import Route, Session, SessionStatus
from tests.cast import Cast


def _session(cast: Cast, clinic: Clinic, *, days_ago: int) -> None:
    at = clock.now() - timedelta(days=days_ago)
    Session.objects.create(
        clinic=clinic, patient=cast.patient, planned_at=at, started_at=at, ended_at=at + timedelta(minutes=50),
        status=SessionStatus.HELD, route=Route.IV, dose_mg=40, received_at=at, updated_at=at,
        change_number=counters.next_numbers(patient_id=cast.patient.id),
    )  # fmt: skip


def test_a_clinic_does_not_see_the_sessions_of_another(cast: Cast) -> None:
    now = clock.now()
    with access.maintaining("test"):
        people.join(person=cast.patient, clinic=cast.elsewhere, role=Role.PATIENT, now=now)
        people.put_on_care_team(
            clinic_id=cast.elsewhere.id, patient_id=cast.patient.id, member_id=cast.outsider.id, now=now
        )
        _session(cast, cast.clinic, days_ago=3)
        _session(cast, cast.elsewhere, days_ago=5)
        _session(cast, cast.elsewhere, days_ago=9)

    def markers(person: object, path: str) -> int:
        return len(cast.client(person).send("GET", path).json()["markers"])  # type: ignore[arg-type]

    path = f"patients/{cast.patient.id}/trend"
    assert markers(cast.psychiatrist, path) == 1
    assert markers(cast.outsider, path) == 2
    assert markers(cast.patient, "me/trend") == 3
