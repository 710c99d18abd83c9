"""The doors to a clinic's people, for its administrators: who belongs to it, as what, and the end of that."""

import uuid
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import people, reach
from backend.accounts.door import DoorView
from backend.accounts.models import Membership, Role
from backend.accounts.shapes import MEMBER, PAGING
from backend.common import openapi, pages, problems, queries
from backend.common.problems import Problem


class MemberView(DoorView):
    """What the doors to members share."""

    def members(self, clinic: uuid.UUID) -> QuerySet[Membership]:
        """The open memberships of the clinic for which one acts. Raises a 404 problem for another."""
        if clinic != self.actor.clinic_id:
            raise problems.not_found()
        found = Membership.objects.filter(clinic_id=clinic, ended_at__isnull=True).exclude(role=Role.CAREGIVER)
        return found.select_related("person")

    def find(self, clinic: uuid.UUID, member: uuid.UUID) -> Membership:
        """One of them. Raises a 404 problem."""
        found = self.members(clinic).filter(id=member).first()
        if found is None:
            raise problems.not_found()
        self.actor.shown.add(found.person_id)
        return found


class Members(MemberView):
    """Everybody who belongs to the clinic."""

    roles = {"GET": reach.OVERSEER}

    @extend_schema(
        operation_id="members_list",
        parameters=[
            OpenApiParameter("role", OpenApiTypes.STR, enum=[role for role in Role.values if role != Role.CAREGIVER]),
            OpenApiParameter("name", OpenApiTypes.STR, description="A part of the name"),
            *PAGING,
        ],
        responses={200: openapi.listing(MEMBER)},
    )
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """A page of members, newest first; somebody with two roles is there twice."""
        queries.refuse_unknown(request, {"role", "name", "limit", "cursor"})
        found = self.members(id)
        if role := queries.choice(request, "role", Role.values):
            found = found.filter(role=role)
        if name := queries.text(request, "name"):
            found = found.filter(person__full_name__icontains=name)
        page = pages.page(found, request=request, ordering=("-since_at", "-id"))
        self.actor.shown.update(row.person_id for row in page["results"])
        return Response({**page, "results": [_member(row) for row in page["results"]]})


class MemberDetail(MemberView):
    """One membership."""

    roles = {"GET": reach.OVERSEER, "DELETE": reach.ADMINISTRATOR}

    @extend_schema(operation_id="member_read", responses={200: MEMBER})
    def get(self, request: Request, id: uuid.UUID, member: uuid.UUID) -> Response:
        """Who it is, as what, since when."""
        return Response(_member(self.find(id, member)))

    @extend_schema(
        operation_id="member_end",
        responses={204: None, 409: openapi.problem("The clinic's last administrator.")},
    )
    def delete(self, request: Request, id: uuid.UUID, member: uuid.UUID) -> Response:
        """Ends the role from now on: care teams, and every sign-in of somebody who has no other clinic."""
        try:
            people.leave(membership=self.find(id, member), now=self.now)
        except people.LastAdministrator as error:
            raise Problem(status=409, code="last_administrator", detail=str(error)) from error
        return Response(status=204)


def _member(row: Membership) -> dict[str, Any]:
    return {
        "id": row.id,
        "person": row.person_id,
        "name": row.person.full_name,
        "email": row.person.email,
        "role": row.role,
        "since_at": row.since_at,
    }
