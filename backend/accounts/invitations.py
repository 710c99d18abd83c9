"""Invitations: the only way in. A code is shown once, in the mail; the database keeps its hash."""

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from backend.accounts import outbox, people
from backend.accounts.models import CLINICIANS, Clinic, Invitation, Membership, Person, Role
from backend.common import clock

LIFETIME = timedelta(days=7)
ADULT_AT = 18  # years (DOMAIN.md: adults only)


class NotInvited(ValueError):
    """No open invitation has this code and address."""


class Underage(ValueError):
    """Only adults can be invited as patients."""


class NoAddress(ValueError):
    """No mail can be sent to this."""


class AlreadyMember(ValueError):
    """The address belongs to someone who has an account."""


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
    """Writes the invitation and puts its mail into the outbox.

    Raises NoAddress, Underage, AlreadyMember, people.NotAClinician.
    """
    try:
        validate_email(email.lower())
    except ValidationError:
        raise NoAddress("This is not an e-mail address.") from None
    today = now.astimezone(clock.zone(time_zone)).date()
    if role == Role.PATIENT and (born_on is None or _years(born_on, today) < ADULT_AT):
        raise Underage("Afterglow is for adults: give a birth date of 18 years ago or earlier.")
    if Person.objects.filter(email=email.lower()).exists():
        raise AlreadyMember("Someone with this address has an account already.")
    known = (
        Membership.objects.filter(clinic=clinic, person_id__in=care_team, role__in=CLINICIANS, ended_at__isnull=True)
        .values("person_id")
        .distinct()
        .count()
    )
    if known != len(set(care_team)):
        raise people.NotAClinician("Only psychiatrists, therapists and nurses of this clinic can be on a care team.")
    code = secrets.token_urlsafe(24)
    invitation = Invitation.objects.create(
        clinic=clinic,
        email=email.lower(),
        full_name=full_name,
        role=role,
        time_zone=time_zone,
        born_on=born_on,
        care_team=[str(member) for member in care_team],
        token_hash=_hash(code),
        invited_by=by,
        invited_at=now,
        expires_at=now + LIFETIME,
    )
    outbox.put(
        recipient=invitation.email,
        subject=f"Your invitation from {clinic.short_name}",
        text=(
            f"{clinic.name} invites you to Afterglow.\n\n"
            f"Open the app, choose 'I have an invitation' and enter this code:\n\n    {code}\n\n"
            f"It works once, with this e-mail address, until {invitation.expires_at:%d %B %Y, %H:%M} UTC.\n"
            "If you did not expect this mail, you need not do anything.\n"
        ),
        now=now,
    )
    return invitation


def find(*, code: str, email: str, now: datetime) -> Invitation:
    """The open invitation with this code and address. Raises NotInvited, the same for every reason."""
    invitation = Invitation.objects.filter(
        token_hash=_hash(code),
        email=email.lower(),
        accepted_at__isnull=True,
        revoked_at__isnull=True,
        expires_at__gt=now,
    ).first()
    if invitation is None:
        raise NotInvited("This invitation is not open: check code and address, or ask the clinic for a new one.")
    return invitation


def accept(*, invitation: Invitation, password: str, now: datetime) -> Person:
    """Makes the person with role and care team. Raises NotInvited when another request was first."""
    if not Invitation.objects.filter(id=invitation.id, accepted_at__isnull=True).update(accepted_at=now):
        raise NotInvited("This invitation was used already.")
    clinic = invitation.clinic
    person = people.create(
        email=invitation.email,
        full_name=invitation.full_name,
        time_zone=invitation.time_zone,
        now=now,
        password=password,
        born_on=invitation.born_on,
        country=clinic.country,
        channels=["email"],
    )
    people.join(person=person, clinic=clinic, role=invitation.role, now=now)
    if invitation.role == Role.PATIENT:
        for member in invitation.care_team:
            people.put_on_care_team(clinic_id=clinic.id, patient_id=person.id, member_id=uuid.UUID(member), now=now)
    return person


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def _years(born_on: date, today: date) -> int:
    return today.year - born_on.year - ((today.month, today.day) < (born_on.month, born_on.day))
