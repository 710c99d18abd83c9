"""The doors of exports: asking for one, watching it, fetching the file; each is its person's and nobody else's."""

import uuid
from typing import Annotated, Any

from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.crypto import constant_time_compare
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import reach
from backend.accounts.door import DoorView
from backend.accounts.models import Action
from backend.accounts.shapes import PAGING
from backend.common import bodies, openapi, pages, problems, queries
from backend.common.bodies import Struct
from backend.common.problems import FieldError, Problem
from backend.interop import exports, vault
from backend.interop.api import shapes
from backend.interop.formats import FORMATS
from backend.interop.models import Export, ExportStatus

__all__ = ["ExportDetail", "ExportFile", "Exports", "Jobs"]


_UUID = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"


class ExportBody(Struct, kw_only=True, frozen=True):
    """About whom, and in which format."""

    format: Annotated[str, bodies.choice(FORMATS)] = "json"
    about: Annotated[str, Meta(pattern=f"^(me|{_UUID})$(?!\n)", description="`me`, or the id of a patient")] = "me"


class ExportView(DoorView):
    """What the doors of exports share."""

    def find(self, id: uuid.UUID) -> Export:
        """The export, if the actor asked for it. Raises a 404 problem."""
        job = Export.objects.filter(id=id, person=self.actor.person).first()
        if job is None:
            raise problems.not_found()
        self.actor.shown.add(job.patient_id)
        return job

    def mine(self, request: Request) -> dict[str, Any]:
        """A page of the actor's exports, newest first."""
        queries.refuse_unknown(request, {"limit", "cursor"})
        rows = Export.objects.filter(person=self.actor.person)
        page = pages.page(rows, request=request, ordering=("-requested_at", "-id"))
        self.actor.shown.update(job.patient_id for job in page["results"])
        return page


class Exports(ExportView):
    """The exports that the actor asked for."""

    roles = {"GET": reach.EVERYBODY, "POST": reach.EVERYBODY}

    @extend_schema(operation_id="exports_list", parameters=PAGING, responses={200: openapi.listing(shapes.EXPORT)})
    def get(self, request: Request) -> Response:
        """A page of them."""
        page = self.mine(request)
        return Response({**page, "results": [shapes.export(job) for job in page["results"]]})

    @extend_schema(
        operation_id="exports_create",
        request={"application/json": openapi.component(ExportBody)},
        responses={202: shapes.EXPORT, 200: shapes.EXPORT},
    )
    def post(self, request: Request) -> Response:
        """Asks for everything about oneself, or about a patient of the care team; a job makes the file.

        202 with the job; 200 with the same while it is being made.
        """
        body = bodies.read(request, ExportBody)
        about = self.actor.person.id if body.about == "me" else uuid.UUID(body.about)
        record = exports.record_for(actor=self.actor, about=about)
        job, new = exports.request(actor=self.actor, record=record, format=body.format, now=self.now)
        return Response(
            shapes.export(job), status=202 if new else 200, headers={"Location": f"/api/v1/exports/{job.id}"}
        )


class ExportDetail(ExportView):
    """One export and how far it is."""

    roles = {"GET": reach.EVERYBODY}

    @extend_schema(operation_id="export_read", responses={200: shapes.EXPORT})
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """Its status, its progress, and the link once there is one."""
        return Response(shapes.export(self.find(id)))


class ExportFile(ExportView):
    """The file itself, for the signed-in person whose link it is, until its hour."""

    roles = {"GET": reach.EVERYBODY}
    told_as = Action.EXPORT

    @extend_schema(
        operation_id="export_file",
        parameters=[
            OpenApiParameter("expires", OpenApiTypes.DATETIME, required=True),
            OpenApiParameter("signature", OpenApiTypes.STR, required=True),
        ],
        responses={
            (200, "application/json"): OpenApiTypes.BINARY,
            (200, "application/zip"): OpenApiTypes.BINARY,
            410: openapi.problem("The link has expired and the file is gone; ask for a new export."),
        },
    )
    def get(self, request: Request, id: uuid.UUID) -> HttpResponseBase:
        """Decrypts the file as it leaves; it was made by a job and is changed by nothing here."""
        queries.refuse_unknown(request, {"expires", "signature"})
        job = self.find(id)
        given = request.query_params.get("signature")
        if given is None:
            raise problems.invalid(FieldError("signature", "required", "Use the link of GET exports/{id} as it is."))
        if job.expires_at is None:
            raise problems.not_found()
        if not constant_time_compare(given, exports.signature(job)):
            raise problems.not_found()
        if job.status == ExportStatus.EXPIRED or job.expires_at <= self.now:
            raise Problem(status=410, code="export_expired", detail="The link has expired; ask for a new export.")
        # A clinician who left the care team meanwhile fetches nothing any more.
        exports.record_for(actor=self.actor, about=job.patient_id)
        try:
            file = exports.path_of(job).open("rb")
        except FileNotFoundError:
            raise Problem(status=410, code="export_gone", detail="The file is gone; ask for a new export.") from None
        form = FORMATS[job.format]
        assert job.file_key is not None  # noqa: S101
        response = StreamingHttpResponse(vault.read(file, key=bytes(job.file_key)), content_type=form.media_type)
        response["Content-Length"] = str(job.size_bytes)
        response["Content-Disposition"] = f'attachment; filename="afterglow-{job.id}{form.suffix}"'
        return response


class Jobs(ExportView):
    """The background work that the actor waits for."""

    roles = {"GET": reach.EVERYBODY}

    @extend_schema(operation_id="my_jobs_list", parameters=PAGING, responses={200: openapi.listing(shapes.JOB)})
    def get(self, request: Request) -> Response:
        """A page of jobs, newest first."""
        page = self.mine(request)
        return Response({**page, "results": [shapes.job(job) for job in page["results"]]})
