"""Breaking the glass: a psychiatrist opens the record of a colleague's patient, for four hours, with all being told."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection

from backend.accounts import access, outbox
from backend.accounts.access import Actor
from backend.accounts.models import BreakGlass, CareTeamMember, Clinic, Membership, Person, Role
from backend.common import clock, locks

OPEN_FOR = timedelta(hours=4)  # as the API's contract says


class OnTheTeam(ValueError):
    """Whoever cares for the patient need not break anything."""


class NotAPatientHere(ValueError):
    """Nobody of this id is a patient of the clinic."""


@dataclass(frozen=True)
class Found:
    """A patient of the clinic whom somebody else cares for; no more than what was asked with."""

    id: uuid.UUID
    name: str
    born_on: date


def find(*, name: str, born_on: date) -> Sequence[Found]:
    """Patients of the clinic with exactly this name (whatever its case) and birth date; only psychiatrists find any."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, name, born_on FROM accounts_find_patient(%s, %s)", [name, born_on])
        return [Found(*row) for row in cursor.fetchall()]


def open_for(*, actor: Actor, patient_id: uuid.UUID, reason: str, now: datetime) -> tuple[BreakGlass, bool]:
    """Opens the record and tells patient and administrators; one that is open stays as it is (then False).

    Raises NotAPatientHere, OnTheTeam.
    """
    if not access.is_patient_here(patient_id):
        raise NotAPatientHere
    mine = {"clinic_id": actor.here, "patient_id": patient_id}
    if CareTeamMember.objects.filter(member=actor.person, ended_at__isnull=True, **mine).exists():
        raise OnTheTeam("You are on this patient's care team; the record is open to you.")
    locks.take(f"emergency of {patient_id} for {actor.person.id}")  # two requests at once open it once
    opened = BreakGlass.objects.filter(person=actor.person, closes_at__gt=now, **mine).first()
    if opened is not None:
        return opened, False
    opened = BreakGlass.objects.create(
        person=actor.person, reason=reason, opened_at=now, closes_at=now + OPEN_FOR, **mine
    )
    _tell(opened)
    return opened, True


def _tell(opened: BreakGlass) -> None:
    # Names stand in no mail (DOMAIN.md); who it was and whose record, the audit trail tells after sign-in.
    clinic = Clinic.objects.get(id=opened.clinic_id)
    patient = Person.objects.get(id=opened.patient_id)
    local = opened.opened_at.astimezone(clock.zone(patient.time_zone))
    outbox.put(
        recipient=patient.email,
        subject=f"{clinic.short_name}: your record was opened",
        text=(
            f"On {local:%d %B %Y at %H:%M} a member of staff of {clinic.name} who is not on your care team opened your "
            "record in an emergency.\n\nSign in to see why. If you have questions, call the clinic"
            f"{f': {clinic.phone}' if clinic.phone else ''}.\n"
        ),
        now=opened.opened_at,
    )
    administrators = Membership.objects.filter(
        clinic_id=opened.clinic_id, role=Role.ADMINISTRATOR, ended_at__isnull=True
    ).select_related("person")
    for membership in administrators:
        local = opened.opened_at.astimezone(clock.zone(membership.person.time_zone))
        outbox.put(
            recipient=membership.person.email,
            subject=f"{clinic.short_name}: a record was opened in an emergency",
            text=(
                f"On {local:%d %B %Y at %H:%M} a member of staff opened the record of a patient of another care team. "
                f"It stays open until {opened.closes_at.astimezone(clock.zone(membership.person.time_zone)):%H:%M}.\n\n"
                "Sign in and look at the audit trail for who it was, the patient and the reason.\n"
            ),
            now=opened.opened_at,
        )
