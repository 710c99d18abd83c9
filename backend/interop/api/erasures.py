"""The doors of erasure: the patient asks, confirms, may cancel; administrators do so on behalf, and hold records."""

import uuid
from typing import Annotated, Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import reach
from backend.accounts.door import DoorView
from backend.accounts.models import ADMINISTRATORS, Membership, Role
from backend.accounts.shapes import PAGING
from backend.common import bodies, openapi, pages, problems, queries
from backend.common.bodies import Struct, Text
from backend.common.problems import FieldError, Problem
from backend.interop import erasure, holds
from backend.interop.api import shapes
from backend.interop.models import ErasureRequest, LegalHold

Reason = Annotated[str, Meta(min_length=3, max_length=1000, pattern="^[^\x00]*$")]
_NOT_NOW = openapi.problem("The request is in a state that does not allow it.")


class ErasureBody(Struct, kw_only=True, frozen=True):
    """A wish to be erased; an administrator names the patient and why."""

    patient: uuid.UUID | None = None
    reason: Text = ""


class Confirmation(Struct, kw_only=True, frozen=True):
    """The second step, which nobody takes by accident."""

    confirm: bool

    def faults(self) -> list[FieldError]:
        """Only true confirms."""
        if self.confirm is not True:
            return [FieldError("/confirm", "invalid", "Send true to confirm; the erasure cannot be undone afterwards.")]
        return []


class ErasureView(DoorView):
    """What the doors of erasure share."""

    def is_patient_here(self, id: uuid.UUID) -> bool:
        """Whether the person is or was a patient of the clinic."""
        return Membership.objects.filter(clinic_id=self.actor.here, person_id=id, role=Role.PATIENT).exists()

    def find(self, id: uuid.UUID) -> ErasureRequest:
        """The request, if it is the actor's own or made in the administrator's clinic. Raises a 404 problem."""
        row = ErasureRequest.objects.filter(id=id).first()
        mine = row is not None and row.patient_id == self.actor.person.id
        office = row is not None and row.clinic_id == self.actor.clinic_id and self.actor.roles & ADMINISTRATORS
        if row is None or not (mine or office):
            raise problems.not_found()
        self.actor.shown.add(row.patient_id)
        return row

    def shown(self, row: ErasureRequest, *, status: int = 200) -> Response:
        """The request as it stands."""
        return Response(shapes.erasure(row, held=erasure.held([row.patient_id])), status=status)


class ErasureRequests(ErasureView):
    """The own requests, or those of the administrator's clinic."""

    roles = {"GET": reach.PATIENT_OR_OFFICE, "POST": reach.PATIENT_OR_OFFICE}

    @extend_schema(
        operation_id="erasure_requests_list", parameters=PAGING, responses={200: openapi.listing(shapes.ERASURE)}
    )
    def get(self, request: Request) -> Response:
        """A page of requests, newest first."""
        queries.refuse_unknown(request, {"limit", "cursor"})
        rows = ErasureRequest.objects.filter(patient_id=self.actor.person.id)
        if self.actor.roles & ADMINISTRATORS:
            rows = ErasureRequest.objects.filter(clinic_id=self.actor.here)
        page = pages.page(rows, request=request, ordering=("-requested_at", "-id"))
        self.actor.shown.update(row.patient_id for row in page["results"])
        held = erasure.held(row.patient_id for row in page["results"])
        return Response({**page, "results": [shapes.erasure(row, held=held) for row in page["results"]]})

    @extend_schema(
        operation_id="erasure_requests_create",
        request={"application/json": openapi.component(ErasureBody)},
        responses={
            201: shapes.ERASURE,
            200: shapes.ERASURE,
            409: openapi.problem("Another clinic cares for the patient too: only the patient can ask."),
        },
    )
    def post(self, request: Request) -> Response:
        """Says what is wished; nothing happens before it is confirmed. While one is open, 200 with that one."""
        body = bodies.read(request, ErasureBody)
        patient_id = body.patient or self.actor.person.id
        if patient_id != self.actor.person.id:
            self._check_on_behalf(patient_id, body.reason)
        elif not self.actor.is_patient:
            raise problems.invalid(FieldError("/patient", "required", "Say who is to be erased."))
        try:
            row, new = erasure.ask(
                patient_id=patient_id,
                clinic_id=self.actor.clinic_id,
                by=self.actor.person.id,
                reason=body.reason,
                now=self.now,
            )
        except erasure.NotNow as error:
            raise Problem(status=409, code="not_now", detail=str(error)) from error
        return self.shown(row, status=201 if new else 200)

    def _check_on_behalf(self, patient_id: uuid.UUID, reason: str) -> None:
        if not self.actor.roles & ADMINISTRATORS or not self.is_patient_here(patient_id):
            raise problems.not_found()
        if len(reason.strip()) < 3:
            raise problems.invalid(FieldError("/reason", "required", "Say why, and on whose word, you ask for this."))
        if erasure.is_patient_elsewhere(patient_id):
            raise Problem(
                status=409,
                code="patient_elsewhere",
                detail="Another clinic cares for this patient too; only the patient can ask for erasure.",
            )


class ErasureDetail(ErasureView):
    """One request, and afterwards the report of what was erased and what stays."""

    roles = {"GET": reach.PATIENT_OR_OFFICE}

    @extend_schema(operation_id="erasure_request_read", responses={200: shapes.ERASURE})
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """The request as it stands."""
        return self.shown(self.find(id))


class ErasureConfirm(ErasureView):
    """The second step."""

    roles = {"POST": reach.PATIENT_OR_OFFICE}

    @extend_schema(
        operation_id="erasure_request_confirm",
        request={"application/json": openapi.component(Confirmation)},
        responses={200: shapes.ERASURE, 409: _NOT_NOW},
    )
    def post(self, request: Request, id: uuid.UUID) -> Response:
        """The days run from here; afterwards nothing brings the record back."""
        row = self.find(id)
        bodies.read(request, Confirmation)
        return self.shown(_or_409(lambda: erasure.confirm(request=row, now=self.now)))


class ErasureCancel(ErasureView):
    """Taking it back."""

    roles = {"POST": reach.PATIENT_OR_OFFICE}

    @extend_schema(operation_id="erasure_request_cancel", request=None, responses={200: shapes.ERASURE, 409: _NOT_NOW})
    def post(self, request: Request, id: uuid.UUID) -> Response:
        """Possible until the erasure has begun."""
        bodies.refuse_any(request)
        return self.shown(_or_409(lambda: erasure.cancel(request=self.find(id), now=self.now)))


class HoldBody(Struct, kw_only=True, frozen=True):
    """Whose record must be kept, and why."""

    patient: uuid.UUID
    reason: Reason


class LiftBody(Struct, kw_only=True, frozen=True):
    """Why it need not be kept any more."""

    reason: Reason


class LegalHolds(ErasureView):
    """The clinic's legal holds."""

    roles = {"GET": reach.ADMINISTRATOR, "POST": reach.ADMINISTRATOR}

    @extend_schema(
        operation_id="legal_holds_list",
        parameters=[OpenApiParameter("patient", OpenApiTypes.UUID), *PAGING],
        responses={200: openapi.listing(shapes.HOLD)},
    )
    def get(self, request: Request) -> Response:
        """A page of holds, newest first."""
        queries.refuse_unknown(request, {"patient", "limit", "cursor"})
        rows = LegalHold.objects.filter(clinic_id=self.actor.here)
        if patient := queries.identifier(request, "patient"):
            rows = rows.filter(patient_id=patient)
        page = pages.page(rows, request=request, ordering=("-set_at", "-id"))
        self.actor.shown.update(row.patient_id for row in page["results"])
        return Response({**page, "results": [shapes.hold(row) for row in page["results"]]})

    @extend_schema(
        operation_id="legal_holds_set",
        request={"application/json": openapi.component(HoldBody)},
        responses={201: shapes.HOLD, 200: shapes.HOLD},
    )
    def post(self, request: Request) -> Response:
        """From now on nothing of this patient is erased; while one is open, 200 with that one."""
        body = bodies.read(request, HoldBody)
        if not self.is_patient_here(body.patient):
            raise problems.not_found()
        row, new = holds.put(
            patient_id=body.patient,
            clinic_id=self.actor.here,
            by=self.actor.person.id,
            reason=body.reason,
            now=self.now,
        )
        return Response(shapes.hold(row), status=201 if new else 200)


class LegalHoldLift(ErasureView):
    """Lifting a hold."""

    roles = {"POST": reach.ADMINISTRATOR}

    @extend_schema(
        operation_id="legal_hold_lift",
        request={"application/json": openapi.component(LiftBody)},
        responses={200: shapes.HOLD},
    )
    def post(self, request: Request, id: uuid.UUID) -> Response:
        """A request that waited for it goes on with the next round; twice is the same as once."""
        if not LegalHold.objects.filter(id=id, clinic_id=self.actor.here).exists():
            raise problems.not_found()
        body = bodies.read(request, LiftBody)
        row = holds.lift(id=id, by=self.actor.person.id, reason=body.reason, now=self.now)
        return Response(shapes.hold(row))


def _or_409(step: Any) -> ErasureRequest:
    try:
        row: ErasureRequest = step()
    except erasure.NotNow as error:
        raise Problem(status=409, code="not_now", detail=str(error)) from error
    return row
