"""Caregivers: people whom a patient invites to see a part of the own record, until the patient says otherwise."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from backend.accounts import access, invitations
from backend.accounts.isolation import Share
from backend.accounts.models import Caregiver, Clinic, Invitation, Person, Role

SHARES = [share.value for share in Share if share]


class Oneself(ValueError):
    """Nobody is their own caregiver."""


class AlreadyCares(ValueError):
    """This person is a caregiver of the patient already."""


def invite(
    *, patient: Person, clinic: Clinic, email: str, full_name: str, shares: Sequence[str], now: datetime
) -> Invitation:
    """Invites someone to see `shares` of the patient's record. Raises Oneself, AlreadyCares, invitations.NoAddress."""
    if email.lower() == patient.email:
        raise Oneself("This is your own address; name the person who may see your record.")
    if Caregiver.objects.filter(patient=patient, person__email=email.lower(), ended_at__isnull=True).exists():
        raise AlreadyCares("This person sees a part of your record already; change what they see instead.")
    with access.machine_of(clinic.id):
        return invitations.invite_caregiver(
            clinic=clinic, patient=patient, email=email, full_name=full_name, shares=sorted(set(shares)), now=now
        )


def change(*, patient: Person, id: uuid.UUID, shares: Sequence[str]) -> bool:
    """From now on they see this. False when there is no such caregiver or open invitation."""
    chosen = sorted(set(shares))
    mine = Caregiver.objects.filter(id=id, patient=patient, ended_at__isnull=True)
    return bool(mine.update(shares=chosen) or _invited(patient, id).update(shares=chosen))


def end(*, patient: Person, id: uuid.UUID, now: datetime) -> bool:
    """From now on they see nothing. False when there is no such caregiver or open invitation."""
    mine = Caregiver.objects.filter(id=id, patient=patient, ended_at__isnull=True)
    return bool(mine.update(ended_at=now) or _invited(patient, id).update(revoked_at=now))


def of(patient: Person, *, now: datetime) -> list[dict[str, Any]]:
    """Who sees a part of the record, and who is invited to: `{id, name, email, shares, status, since_at}`."""
    accepted = Caregiver.objects.filter(patient=patient, ended_at__isnull=True).select_related("person")
    found = [
        _row(row.id, row.person.full_name, row.person.email, row.shares, "accepted", row.since_at)
        for row in accepted.order_by("since_at", "id")
    ]
    waiting = Invitation.objects.filter(
        patient=patient, role=Role.CAREGIVER, accepted_at=None, revoked_at=None, expires_at__gt=now
    )
    return found + [
        _row(row.id, row.full_name, row.email, row.shares, "invited", row.invited_at)
        for row in waiting.order_by("invited_at", "id")
    ]


def _row(id: uuid.UUID, name: str, email: str, shares: Sequence[str], status: str, at: datetime) -> dict[str, Any]:
    return {"id": id, "name": name, "email": email, "shares": list(shares), "status": status, "since_at": at}


def _invited(patient: Person, id: uuid.UUID) -> Any:
    return Invitation.objects.filter(
        id=id, patient=patient, role=Role.CAREGIVER, accepted_at__isnull=True, revoked_at__isnull=True
    )
