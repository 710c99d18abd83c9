"""The doors to a record for others than its care team: emergencies, and the caregivers whom a patient invites."""

import uuid
from typing import Annotated, Any

from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import caregivers, emergency, invitations, reach
from backend.accounts.door import DoorView
from backend.accounts.models import BreakGlass, Clinic
from backend.accounts.shapes import BREAK_GLASS, CAREGIVER
from backend.common import bodies, openapi, problems
from backend.common.bodies import Email, Line, Struct
from backend.common.problems import FieldError, Problem

Shares = Annotated[list[Annotated[str, bodies.choice(caregivers.SHARES)]], Meta(min_length=1, max_length=20)]


class BreakGlassBody(Struct, kw_only=True, frozen=True):
    """Why the record has to be opened now."""

    reason: Annotated[str, Meta(min_length=10, max_length=500, pattern=r"^[^\x00]*\S[^\x00]*$")]


class BreakingTheGlass(DoorView):
    """Opens the record of another team's patient for four hours."""

    roles = {"POST": reach.PSYCHIATRIST}

    @extend_schema(
        operation_id="break_glass",
        request={"application/json": openapi.component(BreakGlassBody)},
        responses={200: BREAK_GLASS, 201: BREAK_GLASS, 409: openapi.problem("You are on the care team.")},
    )
    def post(self, request: Request, id: uuid.UUID) -> Response:
        """Patient and administrators are told at once. While it is open, again answers the same."""
        body = bodies.read(request, BreakGlassBody)
        try:
            opened, new = emergency.open_for(actor=self.actor, patient_id=id, reason=body.reason, now=self.now)
        except emergency.NotAPatientHere:
            raise problems.not_found() from None
        except emergency.OnTheTeam as error:
            raise Problem(status=409, code="on_the_team", detail=str(error)) from error
        return Response(_opened(opened), status=201 if new else 200)


class CaregiverBody(Struct, kw_only=True, frozen=True):
    """Whom a patient lets see what."""

    email: Email
    full_name: Annotated[Line, Meta(min_length=1)]
    shares: Shares


class Caregivers(DoorView):
    """The people whom the patient lets see a part of the own record."""

    roles = {"GET": reach.PATIENT, "POST": reach.PATIENT}

    @extend_schema(operation_id="caregivers_list", responses={200: openapi.listing(CAREGIVER)})
    def get(self, request: Request) -> Response:
        """Everybody who sees something, and who is invited to."""
        found = caregivers.of(self.actor.person, now=self.now)
        return Response({"results": found, "next": None, "previous": None})

    @extend_schema(
        operation_id="caregivers_invite",
        request={"application/json": openapi.component(CaregiverBody)},
        responses={201: CAREGIVER, 409: openapi.problem("A caregiver already.")},
    )
    def post(self, request: Request) -> Response:
        """Invites someone by mail; they see what is chosen here once they have accepted, and never notes."""
        body = bodies.read(request, CaregiverBody)
        try:
            made = caregivers.invite(
                patient=self.actor.person,
                clinic=Clinic.objects.get(id=self.actor.here),
                email=body.email,
                full_name=body.full_name,
                shares=body.shares,
                now=self.now,
            )
        except (caregivers.Oneself, invitations.NoAddress) as error:
            raise problems.invalid(FieldError("/email", "invalid", str(error))) from error
        except caregivers.AlreadyCares as error:
            raise Problem(status=409, code="already_a_caregiver", detail=str(error)) from error
        mine = caregivers.of(self.actor.person, now=self.now)
        return Response(next(row for row in mine if row["id"] == made.id), status=201)


class SharesPatch(Struct, kw_only=True, frozen=True):
    """What they see from now on."""

    shares: Shares


class CaregiverDetail(DoorView):
    """One of them, invited or accepted."""

    roles = {"GET": reach.PATIENT, "PATCH": reach.PATIENT, "DELETE": reach.PATIENT}

    @extend_schema(operation_id="caregiver_read", responses={200: CAREGIVER})
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """Who it is and what they see."""
        return Response(self._find(id))

    @extend_schema(
        operation_id="caregiver_patch",
        request={
            "application/merge-patch+json": openapi.component(SharesPatch),
            "application/json": openapi.component(SharesPatch),
        },
        responses={200: CAREGIVER},
    )
    def patch(self, request: Request, id: uuid.UUID) -> Response:
        """Changes what they see, from the next request on."""
        body = bodies.read(request, SharesPatch)
        self._find(id)
        caregivers.change(patient=self.actor.person, id=id, shares=body.shares)
        return Response(self._find(id))

    @extend_schema(operation_id="caregiver_end", responses={204: None})
    def delete(self, request: Request, id: uuid.UUID) -> Response:
        """They see nothing any more, from the next request on."""
        self._find(id)
        caregivers.end(patient=self.actor.person, id=id, now=self.now)
        return Response(status=204)

    def _find(self, id: uuid.UUID) -> dict[str, Any]:
        found = next((row for row in caregivers.of(self.actor.person, now=self.now) if row["id"] == id), None)
        if found is None:
            raise problems.not_found()
        return found


def _opened(row: BreakGlass) -> dict[str, Any]:
    return {
        "id": row.id,
        "patient": row.patient_id,
        "reason": row.reason,
        "opened_at": row.opened_at,
        "closes_at": row.closes_at,
    }
