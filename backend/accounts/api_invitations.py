"""The doors for invitations: the clinic's administrators write them, the invited accept them."""

import uuid
from datetime import date
from typing import Annotated, Any

from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import attempts, invitations, people, reach
from backend.accounts.door import DoorView
from backend.accounts.models import Clinic, Invitation, Role
from backend.accounts.shapes import INVITATION, MEMBERSHIP, PAGING
from backend.common import bodies, openapi, pages, problems, queries
from backend.common.bodies import Email, Line, Struct, ZoneName
from backend.common.client_address import address_of, network_of
from backend.common.problems import FieldError, Problem


class InvitationBody(Struct, kw_only=True, frozen=True):
    """Whom to invite, as what."""

    email: Email
    full_name: Annotated[Line, Meta(min_length=1)]
    role: Annotated[str, bodies.choice([role for role in Role.values if role != Role.CAREGIVER])]
    time_zone: ZoneName | None = None
    born_on: date | None = None
    care_team: Annotated[list[uuid.UUID], Meta(max_length=20)] = []


class Invitations(DoorView):
    """The clinic's invitations, for its administrators."""

    roles = {"GET": reach.ADMINISTRATOR, "POST": reach.ADMINISTRATOR}

    @extend_schema(operation_id="invitations_list", parameters=PAGING, responses={200: openapi.listing(INVITATION)})
    def get(self, request: Request) -> Response:
        """A page of invitations, newest first."""
        queries.refuse_unknown(request, {"limit", "cursor"})
        mine = Invitation.objects.filter(clinic_id=self.actor.here).exclude(role=Role.CAREGIVER)
        page = pages.page(mine, request=request, ordering=("-invited_at", "-id"))
        return Response({**page, "results": [_invitation(row, self.now) for row in page["results"]]})

    @extend_schema(
        operation_id="invitations_create",
        request={"application/json": openapi.component(InvitationBody)},
        responses={201: INVITATION, 409: openapi.problem("A member of this clinic already.")},
    )
    def post(self, request: Request) -> Response:
        """Invites someone; the code goes to the address by mail and is shown nowhere else."""
        body = bodies.read(request, InvitationBody)
        clinic = Clinic.objects.get(id=self.actor.here)
        try:
            invitation = invitations.invite(
                clinic=clinic,
                by=self.actor.person,
                email=body.email,
                full_name=body.full_name,
                role=body.role,
                time_zone=body.time_zone or clinic.time_zone,
                born_on=body.born_on,
                care_team=body.care_team,
                now=self.now,
            )
        except invitations.NoAddress as error:
            raise problems.invalid(FieldError("/email", "invalid", str(error))) from error
        except invitations.Underage as error:
            raise problems.invalid(FieldError("/born_on", "underage", str(error))) from error
        except invitations.AlreadyMember as error:
            raise Problem(status=409, code="already_member", detail=str(error)) from error
        except people.NotAClinician as error:
            raise problems.invalid(FieldError("/care_team", "not_a_clinician", str(error))) from error
        return Response(_invitation(invitation, self.now), status=201)


class InvitationDetail(DoorView):
    """One invitation."""

    roles = {"GET": reach.ADMINISTRATOR, "DELETE": reach.ADMINISTRATOR}

    @extend_schema(operation_id="invitation_read", responses={200: INVITATION})
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """The invitation and whether it was used."""
        return Response(_invitation(self._find(id), self.now))

    @extend_schema(operation_id="invitation_revoke", responses={204: None})
    def delete(self, request: Request, id: uuid.UUID) -> Response:
        """Takes an open invitation back; twice is the same as once."""
        self._find(id)
        if not invitations.revoke(id=id, now=self.now):
            raise Problem(
                status=409, code="already_accepted", detail="This invitation was used; end the membership instead."
            )
        return Response(status=204)

    def _find(self, id: uuid.UUID) -> Invitation:
        found = Invitation.objects.filter(id=id, clinic_id=self.actor.here).exclude(role=Role.CAREGIVER).first()
        if found is None:
            raise problems.not_found()
        return found


class AcceptanceBody(Struct, kw_only=True, frozen=True):
    """The code that came by mail."""

    code: Annotated[Line, Meta(min_length=1)]


class InvitationAcceptance(DoorView):
    """Joining one more clinic, with the account that one has."""

    roles = {"POST": reach.EVERYBODY}

    @extend_schema(
        operation_id="invitation_accept",
        request={"application/json": openapi.component(AcceptanceBody)},
        responses={200: MEMBERSHIP},
    )
    def post(self, request: Request) -> Response:
        """Accepts an invitation to one's own address; twice is the same as once."""
        body = bodies.read(request, AcceptanceBody)
        tried = self._count(request)
        try:
            membership = invitations.accept_as(person=self.actor.person, code=body.code, now=self.now)
        except invitations.NotInvited as error:
            raise problems.invalid(FieldError("/code", "not_invited", str(error))) from error
        attempts.forgive(numbers=tried)
        return Response(
            {
                "id": membership.id,
                "clinic": membership.clinic_id,
                "clinic_name": membership.clinic.name,
                "role": membership.role,
                "since_at": membership.since_at,
            }
        )

    def _count(self, request: Request) -> tuple[int, ...]:
        try:
            return attempts.begin(
                kind=attempts.Kind.INVITATION,
                who=str(self.actor.person.id),
                network=network_of(address_of(request._request)),
                now=self.now,
            )
        except attempts.Locked:
            raise Problem(
                status=429,
                code="too_many_attempts",
                detail="Too many attempts. Wait five minutes, then try again.",
                headers={"Retry-After": str(int(attempts.WINDOW.total_seconds()))},
            ) from None


def _invitation(row: Invitation, now: Any) -> dict[str, Any]:
    status = (
        "accepted"
        if row.accepted_at
        else "revoked"
        if row.revoked_at
        else "expired"
        if row.expires_at <= now
        else "open"
    )
    return {
        "id": row.id,
        "email": row.email,
        "full_name": row.full_name,
        "role": row.role,
        "time_zone": row.time_zone,
        "status": status,
        "invited_at": row.invited_at,
        "expires_at": row.expires_at,
        "accepted_at": row.accepted_at,
    }
