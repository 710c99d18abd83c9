"""Persons, their roles and zones, and who cares for whom."""

import uuid
from collections.abc import Callable, Collection
from datetime import datetime

from django.db import connection

from backend.accounts import access
from backend.accounts.models import (
    CLINICIANS,
    Caregiver,
    CareTeamMember,
    Clinic,
    Membership,
    PatientCounter,
    Person,
    Role,
    ZoneStay,
)
from backend.common import clock


class NotAClinician(ValueError):
    """Only a psychiatrist, therapist or nurse of the clinic can be on a care team."""


class Oneself(ValueError):
    """Nobody is on the own care team."""


class LastAdministrator(ValueError):
    """A clinic keeps at least one."""


class NotAPatient(ValueError):
    """Only a patient of the clinic has a care team there."""


Leaving = Callable[[uuid.UUID, uuid.UUID, datetime], None]
_after_leaving: list[Leaving] = []


def after_leaving(call: Leaving) -> None:
    """Registers what a room does once a person has no role left in a clinic; at start-up, once.

    It is called with person, clinic and now, as the clinic's machine and in the same transaction.
    """
    _after_leaving.append(call)


def join(*, person: Person, clinic: Clinic, role: str, now: datetime) -> Membership:
    """Gives the person a role in the clinic; twice is the same as once."""
    membership, _ = Membership.objects.get_or_create(
        person=person, clinic=clinic, role=role, ended_at=None, defaults={"since_at": now}
    )
    if role == Role.PATIENT:
        PatientCounter.objects.get_or_create(patient=person)
    return membership


def leave(*, membership: Membership, now: datetime) -> None:
    """The role ends, with the care given or received through it; who has no role left is signed out everywhere.

    Raises LastAdministrator. The record stays.
    """
    clinic, person = membership.clinic_id, membership.person_id
    held = Membership.objects.filter(ended_at__isnull=True)
    if membership.role == Role.ADMINISTRATOR:
        # Two administrators who end each other at the same moment: the second waits here and is the last one then.
        others = held.filter(clinic_id=clinic, role=Role.ADMINISTRATOR).select_for_update().order_by("id")
        if len(others) <= 1:
            raise LastAdministrator("This is the clinic's last administrator; invite another one first.")
    with access.machine_of(clinic):
        Membership.objects.filter(id=membership.id, ended_at__isnull=True).update(ended_at=now)
        if not held.filter(clinic_id=clinic, person_id=person).exists():
            for call in _after_leaving:
                call(person, clinic, now)
        care = CareTeamMember.objects.filter(clinic_id=clinic, ended_at__isnull=True)
        if membership.role == Role.PATIENT:
            care.filter(patient_id=person).update(ended_at=now)
            Caregiver.objects.filter(clinic_id=clinic, patient_id=person, ended_at__isnull=True).update(ended_at=now)
        elif not held.filter(clinic_id=clinic, person_id=person, role__in=CLINICIANS).exists():
            care.filter(member_id=person).update(ended_at=now)
        with connection.cursor() as cursor:
            cursor.execute("SELECT accounts_sign_out_without_role(%s)", [person])


def create(
    *, email: str, full_name: str, time_zone: str, now: datetime, password: str | None = None, **profile: object
) -> Person:
    """A new person; the zone history begins when they first move. Raises clock.UnknownZone."""
    clock.zone(time_zone)
    person = Person(email=email.lower(), full_name=full_name, time_zone=time_zone, created_at=now, **profile)
    person.set_password(password)
    person.save(force_insert=True)
    return person


def has_account(*, email: str) -> bool:
    """Whether anyone, of whatever clinic, signs in with this address; only for mails and forms that its owner sees."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT accounts_has_account(%s)", [email.lower()])
        return bool(cursor.fetchone()[0])


def change_zone(*, person: Person, time_zone: str, now: datetime) -> bool:
    """The person lives in another zone from now on; days before keep theirs. False when nothing changed.

    Raises clock.UnknownZone. The caller plans reminders anew.
    """
    clock.zone(time_zone)
    if person.time_zone == time_zone:
        return False
    if not person.zone_stays.exists():
        ZoneStay.objects.create(person=person, time_zone=person.time_zone, since_at=person.created_at)
    person.time_zone = time_zone
    person.save(update_fields=["time_zone"])
    ZoneStay.objects.create(person=person, time_zone=time_zone, since_at=now)
    return True


def put_on_care_team(
    *, clinic_id: uuid.UUID, patient_id: uuid.UUID, member_id: uuid.UUID, now: datetime
) -> CareTeamMember:
    """The clinician cares for the patient from now on; twice is the same as once.

    Raises NotAClinician, NotAPatient, Oneself.
    """
    if member_id == patient_id:
        raise Oneself("Nobody is on their own care team; choose a colleague.")
    if not _holds(member_id, clinic_id, CLINICIANS):
        raise NotAClinician("Only a psychiatrist, therapist or nurse of this clinic can be on a care team.")
    if not _holds(patient_id, clinic_id, {Role.PATIENT}):
        raise NotAPatient("This person is not a patient of this clinic.")
    row, _ = CareTeamMember.objects.get_or_create(
        clinic_id=clinic_id, patient_id=patient_id, member_id=member_id, ended_at=None, defaults={"since_at": now}
    )
    return row


def take_off_care_team(*, clinic_id: uuid.UUID, patient_id: uuid.UUID, member_id: uuid.UUID, now: datetime) -> bool:
    """Ends the care from now on. False when there was none."""
    return bool(
        CareTeamMember.objects.filter(
            clinic_id=clinic_id, patient_id=patient_id, member_id=member_id, ended_at__isnull=True
        ).update(ended_at=now)
    )


def _holds(person_id: uuid.UUID, clinic_id: uuid.UUID, roles: Collection[str]) -> bool:
    return Membership.objects.filter(
        person_id=person_id, clinic_id=clinic_id, role__in=roles, ended_at__isnull=True
    ).exists()
