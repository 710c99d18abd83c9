"""The one door: to the database (`acting_as`), and to a patient's record (`open_record`)."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from django.db import connection
from django.db.models import Q, QuerySet

from backend.accounts.context import acting_as, clinics, dispatching, known_now, machine_of, maintaining
from backend.accounts.models import CLINICIANS, STAFF, BreakGlass, Caregiver, CareTeamMember, Person, Role
from backend.common import clock
from backend.common.problems import Problem, not_found

__all__ = [
    "Actor",
    "Record",
    "acting_as",
    "actor_of",
    "clinics",
    "dispatching",
    "entered_by",
    "is_patient_here",
    "known_now",
    "machine_of",
    "maintaining",
    "open_record",
    "open_to",
    "own_record",
    "patients_of",
    "reads_notes",
    "zones_of",
]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a person, in one clinic, with the roles held there, on one device, in one request."""

    person: Person
    clinic_id: uuid.UUID | None
    roles: frozenset[str]
    device_id: uuid.UUID | None = None
    request_id: str = ""
    address: str = ""
    # Whose content the answer holds; whoever opens a record or lists people adds to it, and the door tells the trail.
    shown: set[uuid.UUID] = field(default_factory=set, compare=False, repr=False)

    @property
    def here(self) -> uuid.UUID:
        """The clinic for which the person acts. Raises a 403 problem to someone without any."""
        if self.clinic_id is None:
            raise Problem(status=403, code="no_clinic", detail="You have no role in any clinic.")
        return self.clinic_id

    @property
    def is_patient(self) -> bool:
        """Whether the person is a patient of the clinic."""
        return Role.PATIENT in self.roles

    @property
    def is_clinician(self) -> bool:
        """Whether the person may read the records of the own care teams."""
        return bool(self.roles & CLINICIANS)

    @property
    def is_staff(self) -> bool:
        """Whether the person works at the clinic."""
        return bool(self.roles & STAFF)


@dataclass(frozen=True)
class Record:
    """A patient's record, opened: whose it is, and for which clinic; None for the patient, who sees what all wrote."""

    patient: Person
    clinic_id: uuid.UUID | None
    by_caregiver: bool = False

    @property
    def own(self) -> bool:
        """Whether the one who opened it is the patient."""
        return self.clinic_id is None

    @cached_property
    def zones(self) -> tuple[tuple[str, datetime], ...]:
        """Where the patient lived: (zone, since), oldest first; never empty."""
        return zones_of(self.patient)


@contextmanager
def entered_by(actor: Actor, purpose: str) -> Iterator[None]:
    """The transaction of a request: the actor acts, for what the purpose says."""
    who = (actor.person.id, actor.clinic_id, purpose, actor.device_id, actor.request_id)
    with acting_as(*who, roles=actor.roles, address=actor.address):
        yield


def actor_of(
    *,
    person: Person,
    clinic_id: uuid.UUID | None,
    device_id: uuid.UUID | None = None,
    request_id: str = "",
    address: str = "",
) -> Actor:
    """The person as an actor in the clinic named, or in the only one. Raises a 400 or 403 problem.

    Someone without any membership is an actor without roles: signed in, with nothing to see but the own account.
    """
    roles = person.open_roles
    if clinic_id is None:
        if len(roles) > 1 and any(role in STAFF for held in roles.values() for role in held):
            raise Problem(
                status=400,
                code="clinic_required",
                detail="You work at several clinics; name one in the header X-Clinic.",
            )
        clinic_id = next(iter(roles), None)
    elif clinic_id not in roles:
        raise Problem(status=403, code="not_a_member", detail="You have no role in the clinic that X-Clinic names.")
    return Actor(
        person=person,
        clinic_id=clinic_id,
        roles=roles.get(clinic_id, frozenset()) if clinic_id else frozenset(),
        device_id=device_id,
        request_id=request_id,
        address=address,
    )


def patients_of(actor: Actor) -> QuerySet[Person]:
    """The patients whom lists and panel show: of the own care teams, for caregivers those who share anything."""
    found = _shared_with(actor)
    if actor.is_clinician:
        team = CareTeamMember.objects.filter(clinic_id=actor.here, member=actor.person, ended_at__isnull=True)
        found |= Q(id__in=team.values("patient_id"))
    return _patients_here(actor, found)


def open_to(actor: Actor, *shares: str) -> QuerySet[Person]:
    """The patients whose record the actor may open now, for a caregiver those who share one of `shares`."""
    return _patients_here(actor, _treated_by(actor) | _shared_with(actor, *shares))


def _treated_by(actor: Actor) -> Q:
    """A clinician's own patients, and those whose record was opened in an emergency that is not over."""
    if not actor.is_clinician:
        return Q()
    team = CareTeamMember.objects.filter(clinic_id=actor.here, member=actor.person, ended_at__isnull=True)
    opened = BreakGlass.objects.filter(clinic_id=actor.here, person=actor.person, closes_at__gt=clock.now())
    return Q(id__in=team.values("patient_id")) | Q(id__in=opened.values("patient_id"))


def _shared_with(actor: Actor, *shares: str) -> Q:
    """Those who let this caregiver see one of `shares`, or anything."""
    if Role.CAREGIVER not in actor.roles:
        return Q()
    mine = Caregiver.objects.filter(clinic_id=actor.here, person=actor.person, ended_at__isnull=True)
    mine = mine.filter(shares__overlap=list(shares)) if shares else mine
    return Q(id__in=mine.values("patient_id"))


def _patients_here(actor: Actor, found: Q) -> QuerySet[Person]:
    if not found:
        return Person.objects.none()
    return Person.objects.filter(
        found,
        memberships__clinic_id=actor.here,
        memberships__role=Role.PATIENT,
        memberships__ended_at__isnull=True,
    )


def open_record(actor: Actor, patient_id: uuid.UUID, *shares: str) -> Record:
    """The record of this patient, for the patient, a clinician who may open it, a caregiver with one of `shares`.

    The audit trail will say so. Raises a 404 problem to all others; a psychiatrist of the patient's clinic is told how
    to open it in an emergency.
    """
    if actor.person.id == patient_id and actor.is_patient:
        actor.shown.add(patient_id)
        return Record(patient=actor.person, clinic_id=None)
    if patient := _patients_here(actor, _treated_by(actor)).filter(id=patient_id).first():
        actor.shown.add(patient_id)
        return Record(patient=patient, clinic_id=actor.here)
    if patient := _patients_here(actor, _shared_with(actor, *shares)).filter(id=patient_id).first():
        actor.shown.add(patient_id)
        return Record(patient=patient, clinic_id=actor.here, by_caregiver=True)
    if Role.PSYCHIATRIST in actor.roles and is_patient_here(patient_id):
        raise Problem(
            status=403,
            code="break_glass_required",
            detail="You are not on this patient's care team. In an emergency POST a reason to "
            f"/api/v1/patients/{patient_id}/break-glass; patient and administrators are told.",
        )
    raise not_found()


def reads_notes(actor: Actor, patient_id: uuid.UUID) -> bool:
    """Whether free text of the record is shown: to the patient and to clinicians, to caregivers never."""
    if actor.person.id == patient_id:
        return True
    return _patients_here(actor, _treated_by(actor)).filter(id=patient_id).exists()


def is_patient_here(patient_id: uuid.UUID) -> bool:
    """Whether someone is a patient of the clinic for which one works, whoever cares for them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT accounts_is_patient_here(%s)", [patient_id])
        return bool(cursor.fetchone()[0])


def zones_of(person: Person) -> tuple[tuple[str, datetime], ...]:
    """Where the person lived: (zone, since), oldest first; never empty."""
    stays = tuple(person.zone_stays.order_by("since_at").values_list("time_zone", "since_at"))
    return stays or ((person.time_zone, person.created_at),)


def own_record(actor: Actor) -> Record:
    """The actor's own record. Raises a 403 problem to those who are no patient."""
    if not actor.is_patient:
        raise Problem(status=403, code="permission_denied", detail="Only a patient keeps these records.")
    return open_record(actor, actor.person.id)
