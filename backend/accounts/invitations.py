"""Invitations: the only way in. A code is shown once, in the mail; the database keeps its hash."""

import contextlib
import hashlib
import secrets
import uuid
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import Q

from backend.accounts import access, consents, outbox, people
from backend.accounts.models import CLINICIANS, STAFF, Caregiver, Clinic, Invitation, Membership, Person, Role, Session
from backend.common import clock, locks

LIFETIME = timedelta(days=7)
_AGREEING = (
    "\nBy accepting you agree that the clinic keeps what you write in your record and reminds you by e-mail. The whole "
    "texts are in the app under your agreements, where you can take each back at any time.\n\n"
)
_NOT_OPEN = "This invitation is not open: check code and address, or ask the clinic for a new one."
HAS_ACCOUNT = "You have an account with this address: sign in, then accept the invitation there."
ADULT_AT = 18  # years (DOMAIN.md: adults only)


class NotInvited(ValueError):
    """No open invitation has this code and address."""


class Underage(ValueError):
    """Only adults can be invited as patients."""


class NoAddress(ValueError):
    """No mail can be sent to this."""


class AlreadyMember(ValueError):
    """The address belongs to someone who has a role in this clinic."""


def invite(
    *,
    clinic: Clinic,
    by: Person,
    email: str,
    full_name: str,
    role: str,
    time_zone: str,
    born_on: date | None,
    care_team: Sequence[uuid.UUID],
    now: datetime,
) -> Invitation:
    """Writes the invitation and puts its mail into the outbox; an older one to the same role is closed by it.

    Raises NoAddress, Underage, AlreadyMember, people.NotAClinician.
    """
    try:
        validate_email(email.lower())
    except ValidationError:
        raise NoAddress("This is not an e-mail address.") from None
    today = now.astimezone(clock.zone(time_zone)).date()
    if role == Role.PATIENT and (born_on is None or _years(born_on, today) < ADULT_AT):
        raise Underage("Afterglow is for adults: give a birth date of 18 years ago or earlier.")
    if Membership.objects.filter(clinic=clinic, person__email=email.lower(), ended_at__isnull=True).exists():
        raise AlreadyMember("Someone with this address is a member of this clinic already.")
    known = (
        Membership.objects.filter(clinic=clinic, person_id__in=care_team, role__in=CLINICIANS, ended_at__isnull=True)
        .values("person_id")
        .distinct()
        .count()
    )
    if known != len(set(care_team)):
        raise people.NotAClinician("Only psychiatrists, therapists and nurses of this clinic can be on a care team.")
    return _write(
        clinic=clinic,
        email=email.lower(),
        full_name=full_name,
        role=role,
        time_zone=time_zone,
        born_on=born_on,
        care_team=[str(member) for member in care_team],
        invited_by=by,
        now=now,
    )


def invite_caregiver(
    *, clinic: Clinic, patient: Person, email: str, full_name: str, shares: Sequence[str], now: datetime
) -> Invitation:
    """Writes a patient's invitation to see `shares` of the own record. Raises NoAddress. As the clinic's machine."""
    try:
        validate_email(email.lower())
    except ValidationError:
        raise NoAddress("This is not an e-mail address.") from None
    return _write(
        clinic=clinic,
        email=email.lower(),
        full_name=full_name,
        role=Role.CAREGIVER,
        time_zone=patient.time_zone,
        patient=patient,
        shares=list(shares),
        invited_by=patient,
        now=now,
    )


def _write(*, clinic: Clinic, email: str, now: datetime, **named: Any) -> Invitation:
    _close_older(clinic=clinic, email=email, role=named["role"], patient=named.get("patient"), now=now)
    code = secrets.token_urlsafe(24)
    invitation = Invitation.objects.create(
        clinic=clinic, email=email, token_hash=_hash(code), invited_at=now, expires_at=now + LIFETIME, **named
    )
    # Only the mail may know whether there is an account: the clinic that asks must not learn it of another's people.
    has_account = people.has_account(email=invitation.email)
    way = "sign in as always, choose" if has_account else "choose"
    outbox.put(
        recipient=invitation.email,
        subject=f"Your invitation from {clinic.short_name}",
        text=(
            f"{clinic.name} invites you to Afterglow.\n\n"
            f"Open the app, {way} 'I have an invitation' and enter this code:\n\n    {code}\n\n"
            f"It works once, with this e-mail address, until {invitation.expires_at:%d %B %Y, %H:%M} UTC.\n"
            f"{_AGREEING if invitation.role == Role.PATIENT else ''}"
            "If you did not expect this mail, you need not do anything.\n"
        ),
        now=now,
    )
    return invitation


def _close_older(*, clinic: Clinic, email: str, role: str, patient: Person | None, now: datetime) -> None:
    # Two that are sent at once come one after the other.
    locks.take(f"invite {clinic.pk} {email} {role} {patient and patient.pk}")
    Invitation.objects.filter(
        clinic=clinic, email=email, role=role, patient=patient, accepted_at__isnull=True, revoked_at__isnull=True
    ).update(revoked_at=now)


def _open(now: datetime) -> Q:
    return Q(accepted_at__isnull=True, revoked_at__isnull=True, expires_at__gt=now)


def find(*, code: str, email: str, now: datetime) -> Invitation:
    """The open invitation with this code and address. Raises NotInvited, the same for every reason."""
    invitation = Invitation.objects.filter(_open(now), token_hash=_hash(code), email=email.lower()).first()
    if invitation is None:
        raise NotInvited(_NOT_OPEN)
    return invitation


def revoke(*, id: uuid.UUID, now: datetime) -> bool:
    """Takes the invitation back; twice is the same as once. False when it was accepted."""
    Invitation.objects.filter(id=id, accepted_at__isnull=True, revoked_at__isnull=True).update(revoked_at=now)
    return Invitation.objects.filter(id=id, revoked_at__isnull=False).exists()


def accept(*, invitation: Invitation, password: str, now: datetime) -> Person:
    """Makes the person with role and care team.

    Raises NotInvited when the invitation is no longer open, or someone with this address has joined meanwhile.
    """
    if not Invitation.objects.filter(_open(now), id=invitation.id).update(accepted_at=now):
        raise NotInvited(_NOT_OPEN)
    try:
        with transaction.atomic():
            person = people.create(
                email=invitation.email,
                full_name=invitation.full_name,
                time_zone=invitation.time_zone,
                now=now,
                password=password,
                born_on=invitation.born_on,
                country=invitation.clinic.country,
                channels=["push", "email"],
            )
    except IntegrityError as error:
        raise NotInvited(HAS_ACCOUNT) from error
    _admit(person, invitation, now)
    return person


def accept_as(*, person: Person, code: str, now: datetime) -> Membership:
    """Lets someone with an account into one more clinic; twice is the same as once. Raises NotInvited.

    Whoever works at a clinic from now on is signed out when staff are.
    """
    mine = Invitation.objects.filter(token_hash=_hash(code), email=person.email)
    if mine.filter(_open(now)).update(accepted_at=now):
        invitation = mine.get()
        if invitation.role in STAFF:
            until = now + settings.STAFF_SESSION_AGE
            Session.objects.filter(person=person, expire_date__gt=until).update(expire_date=until)
        with access.machine_of(invitation.clinic_id):
            membership = _admit(person, invitation, now)
        agree(person=person, invitation=invitation, now=now)
        return membership
    used = mine.filter(accepted_at__isnull=False).first()
    held = used and Membership.objects.filter(
        person=person, clinic_id=used.clinic_id, role=used.role, ended_at__isnull=True
    )
    if not held:
        raise NotInvited(_NOT_OPEN)
    return held.select_related("clinic").get()


def agree(*, person: Person, invitation: Invitation, now: datetime) -> None:
    """In the invited patient's own context: to have accepted is the first agreement to what the mail named."""
    if invitation.role == Role.PATIENT:
        consents.agree_on_joining(patient=person, clinic_id=invitation.clinic_id, now=now)


def _admit(person: Person, invitation: Invitation, now: datetime) -> Membership:
    membership = people.join(person=person, clinic=invitation.clinic, role=invitation.role, now=now)
    if invitation.role == Role.CAREGIVER and invitation.patient_id:
        Caregiver.objects.get_or_create(
            patient_id=invitation.patient_id,
            person=person,
            ended_at=None,
            defaults={"clinic_id": invitation.clinic_id, "shares": invitation.shares, "since_at": now},
        )
    if invitation.role == Role.PATIENT:
        if person.born_on is None:
            person.born_on = invitation.born_on
            person.save(update_fields=["born_on"])
        for member in invitation.care_team:
            # Someone who has left since is not in the way of the others, nor of the patient.
            with contextlib.suppress(people.NotAClinician, people.Oneself):
                people.put_on_care_team(
                    clinic_id=invitation.clinic_id, patient_id=person.id, member_id=uuid.UUID(member), now=now
                )
    return membership


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def _years(born_on: date, today: date) -> int:
    return today.year - born_on.year - ((today.month, today.day) < (born_on.month, born_on.day))
