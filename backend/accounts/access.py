"""The one door: to the database (`acting_as`), and to a patient's record (`open_record`)."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal

import orjson
from django.db import connections, transaction
from django.db.models import Q, QuerySet

from backend.accounts.models import CLINICIANS, STAFF, CareTeamMember, Clinic, Person, Role
from backend.common import clock
from backend.common.problems import Problem, not_found

Isolation = Literal["read committed", "repeatable read", "serializable"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a person, in one clinic, with the roles held there, on one device, in one request."""

    person: Person
    clinic_id: uuid.UUID | None
    roles: frozenset[str]
    device_id: uuid.UUID | None = None
    request_id: str = ""

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

    @property
    def own(self) -> bool:
        """Whether the one who opened it is the patient."""
        return self.clinic_id is None

    @cached_property
    def zones(self) -> tuple[tuple[str, datetime], ...]:
        """Where the patient lived: (zone, since), oldest first; never empty."""
        return zones_of(self.patient)


@contextmanager
def acting_as(
    person: uuid.UUID | None,
    clinic: uuid.UUID | None,
    purpose: str,
    device: uuid.UUID | None = None,
    request_id: str = "",
    isolation: Isolation | None = None,
    *,
    key: str = "",
    using: str = "default",
) -> Iterator[None]:
    """A transaction as the application's role, in which the database knows who acts, where and why.

    Row-level security, history and audit read this context; it ends with the transaction. Without a person, but with a
    clinic, it is the clinic's machine that acts, for all of its people; without both only the tables that name the
    purpose open, and the one row of which the asker knows the `key` (an address, an id). It does not nest: a task that
    commits in steps enters once for each. An exception rolls everything back.
    """
    with transaction.atomic(using=using, durable=True):
        _set_context(using, person, clinic, purpose, device, request_id, isolation, key)
        yield


@contextmanager
def machine_of(clinic: uuid.UUID) -> Iterator[None]:
    """Within a transaction: what follows is done by the clinic itself and not by the person who is here.

    For what a clinic promised beforehand, as to someone who holds its invitation.
    """
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('afterglow.person'), current_setting('afterglow.clinic'), "
            "set_config('afterglow.person', '', true), set_config('afterglow.clinic', %s, true)",
            [str(clinic)],
        )
        person, before = cursor.fetchone()[:2]
    yield  # an exception ends the transaction, and the context with it
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT set_config('afterglow.person', %s, true), set_config('afterglow.clinic', %s, true)",
            [person, before],
        )


def known_now(person: uuid.UUID) -> None:
    """Within a sign-in: who asks has proved to be this person; the rest of the transaction is theirs."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT set_config('afterglow.person', %s, true)", [str(person)])


def clinics() -> Sequence[uuid.UUID]:
    """All clinics, for jobs that then enter each as its machine."""
    with acting_as(None, None, "every clinic"):
        return list(Clinic.objects.order_by("id").values_list("id", flat=True))


@contextmanager
def maintaining(purpose: str) -> Iterator[None]:
    """A transaction as the owner of the database, who sees all rows while this lasts: for what fills a whole database.

    The demo's load and the tests' set-up; never a request or a job. All that is done inside goes through this
    connection.
    """
    usual, owner = connections["default"], connections["owner"]
    connections["default"], owner.alias = owner, "default"
    try:
        with transaction.atomic(durable=True):
            _set_context("default", None, None, f"maintenance: {purpose}", None, "", None)
            yield
    finally:
        connections["default"], owner.alias = usual, "owner"


@contextmanager
def dispatching(purpose: str = "dispatch") -> Iterator[None]:
    """A transaction as the dispatcher's role, which sees the reminder tables of all clinics and nothing else."""
    with transaction.atomic(using="dispatch", durable=True):
        _set_context("dispatch", None, None, purpose, None, "", None)
        yield


def _set_context(
    alias: str,
    person: uuid.UUID | None,
    clinic: uuid.UUID | None,
    purpose: str,
    device: uuid.UUID | None,
    request_id: str,
    isolation: Isolation | None,
    key: str = "",
) -> None:
    who = {"person": person, "clinic": clinic, "purpose": purpose, "device": device, "request": request_id}
    with connections[alias].cursor() as cursor:
        if isolation is not None:
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
        # One query for all of it. By the two pghistory settings its triggers write who and why beside each old version.
        cursor.execute(
            "SELECT set_config('afterglow.person', %s, true), set_config('afterglow.clinic', %s, true), "
            "set_config('afterglow.purpose', %s, true), set_config('afterglow.device', %s, true), "
            "set_config('afterglow.request', %s, true), set_config('afterglow.key', %s, true), "
            "set_config('afterglow.at', %s, true), "
            "set_config('pghistory.context_id', %s, true), set_config('pghistory.context_metadata', %s, true)",
            [
                str(person or ""),
                str(clinic or ""),
                purpose,
                str(device or ""),
                request_id,
                key,
                clock.now().isoformat(),
                str(uuid.uuid4()),
                orjson.dumps({name: str(value) for name, value in who.items() if value}).decode(),
            ],
        )


def actor_of(
    *, person: Person, clinic_id: uuid.UUID | None, device_id: uuid.UUID | None = None, request_id: str = ""
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
    )


def patients_of(actor: Actor) -> QuerySet[Person]:
    """The patients whose care team the actor is on, in the clinic that the actor acts for."""
    if not actor.is_clinician:
        return Person.objects.none()
    mine = CareTeamMember.objects.filter(clinic_id=actor.here, member=actor.person, ended_at__isnull=True)
    return Person.objects.filter(
        Q(id__in=mine.values("patient_id")),
        memberships__clinic_id=actor.here,
        memberships__role=Role.PATIENT,
        memberships__ended_at__isnull=True,
    )


def open_record(actor: Actor, patient_id: uuid.UUID) -> Record:
    """The record of this patient, for the patient or for a clinician of the care team.

    Raises a 404 problem to all others.
    """
    if actor.person.id == patient_id and actor.is_patient:
        patient = actor.person
    else:
        patient_or_none = patients_of(actor).filter(id=patient_id).first()
        if patient_or_none is None:
            raise not_found()
        patient = patient_or_none
    return Record(patient=patient, clinic_id=None if patient.id == actor.person.id else actor.here)


def zones_of(person: Person) -> tuple[tuple[str, datetime], ...]:
    """Where the person lived: (zone, since), oldest first; never empty."""
    stays = tuple(person.zone_stays.order_by("since_at").values_list("time_zone", "since_at"))
    return stays or ((person.time_zone, person.created_at),)


def own_record(actor: Actor) -> Record:
    """The actor's own record. Raises a 403 problem to those who are no patient."""
    if not actor.is_patient:
        raise Problem(status=403, code="permission_denied", detail="Only a patient keeps these records.")
    return open_record(actor, actor.person.id)
