"""The doors of the audit trail: the clinic's for its administrators and auditors, a patient's for the patient."""

import uuid
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import happenings, reach
from backend.accounts.door import DoorView
from backend.accounts.models import OVERSEERS, Action, AuditEvent, AuditSubject
from backend.accounts.shapes import AUDIT_EVENT, PAGING
from backend.common import openapi, pages, problems, queries


class AuditView(DoorView):
    """What both doors share."""

    roles = {"GET": {**reach.PATIENT, **reach.OVERSEER}}

    @property
    def oversees(self) -> bool:
        """Whether the reader sees the clinic's trail and not only what concerns the own record."""
        return bool(self.actor.roles & OVERSEERS)

    def visible(self, patient: uuid.UUID | None = None) -> QuerySet[Any]:
        """The clinic's events, of one patient if named; to a patient those about the own record and the own account."""
        if not self.oversees:
            mine = AuditSubject.objects.filter(patient_id=self.actor.person.id)
            return mine if patient in {None, self.actor.person.id} else mine.none()
        if patient is not None:
            return AuditSubject.objects.filter(patient_id=patient, clinic_id=self.actor.here)
        return AuditEvent.objects.filter(clinic_id=self.actor.here)


class Audit(AuditView):
    """Who saw and changed what."""

    @extend_schema(
        operation_id="audit_list",
        parameters=[
            OpenApiParameter("since", OpenApiTypes.DATETIME, description="`at` from here, included"),
            OpenApiParameter("until", OpenApiTypes.DATETIME, description="`at` up to here, not included"),
            OpenApiParameter("patient", OpenApiTypes.UUID, description="Events about this patient's record"),
            OpenApiParameter("person", OpenApiTypes.UUID, description="What this person did"),
            OpenApiParameter("action", OpenApiTypes.STR, enum=list(Action.values)),
            *PAGING,
        ],
        responses={200: openapi.listing(AUDIT_EVENT)},
    )
    def get(self, request: Request) -> Response:
        """A page of events, latest first; for a patient those about the own record, other people's names withheld."""
        queries.refuse_unknown(request, {"since", "until", "patient", "person", "action", "limit", "cursor"})
        rows = self.visible(queries.identifier(request, "patient"))
        wanted = {
            "done_at__gte": queries.instant(request, "since"),
            "done_at__lt": queries.instant(request, "until"),
            "person_id": queries.identifier(request, "person"),
            "action": queries.choice(request, "action", Action.values),
        }
        rows = rows.filter(**{name: value for name, value in wanted.items() if value is not None})
        page = pages.page(rows, request=request, ordering=("-done_at", "-id"))
        events = AuditEvent.objects.in_bulk([row.id for row in page["results"]])
        told = [events[row.id] for row in page["results"] if row.id in events]
        return Response({**page, "results": happenings.as_json(told, actor=self.actor, oversees=self.oversees)})


class AuditDetail(AuditView):
    """One event."""

    @extend_schema(operation_id="audit_read", responses={200: AUDIT_EVENT})
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """The event."""
        found = self.visible().filter(id=id).values_list("id", flat=True).first()
        row = AuditEvent.objects.filter(id=found).first() if found else None
        if row is None:
            raise problems.not_found()
        return Response(happenings.as_json([row], actor=self.actor, oversees=self.oversees)[0])
