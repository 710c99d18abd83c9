"""The doors of annotations: the care team reads and writes them, the patient reads those that are not private."""

import uuid
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import access, notes, reach
from backend.accounts.access import Record
from backend.accounts.door import DoorView
from backend.common import bodies, etags, openapi, pages, problems, queries
from backend.common.problems import FieldError, Problem
from backend.treatment import annotations
from backend.treatment.models import Annotation
from backend.treatment.shapes import ANNOTATION, BODY_EXAMPLE, EXAMPLE, READ_ONLY, AnnotationBody, as_json

_STORED = OpenApiResponse(ANNOTATION, examples=[OpenApiExample("A week", value=EXAMPLE, response_only=True)])
_SENT = OpenApiExample("About a week", value=BODY_EXAMPLE, request_only=True)
_PATCH = {
    "type": "object",
    "description": "RFC 7396 merge patch",
    "properties": {"about": {"type": "object"}, "text": {"type": "string"}, "private": {"type": "boolean"}},
}


class Annotations(DoorView):
    """The annotations in a patient's record."""

    roles = {"GET": reach.PATIENT_AND_TEAM}

    @extend_schema(
        operation_id="annotations_list",
        parameters=[
            OpenApiParameter("since", OpenApiTypes.DATETIME, description="`at` from here, included"),
            OpenApiParameter("until", OpenApiTypes.DATETIME, description="`at` up to here, not included"),
            OpenApiParameter("changed_after", OpenApiTypes.INT64),
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
            OpenApiParameter("cursor", OpenApiTypes.STR),
        ],
        responses={
            200: OpenApiResponse(
                openapi.listing(ANNOTATION),
                examples=[
                    OpenApiExample(
                        "One", value={"results": [EXAMPLE], "next": None, "previous": None}, response_only=True
                    )
                ],
            )
        },
    )
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """A page of annotations, newest first; the patient sees those that are not private."""
        queries.refuse_unknown(request, {"since", "until", "changed_after", "limit", "cursor"})
        record = access.open_record(self.actor, id)
        wanted = {
            "placed_at__gte": queries.instant(request, "since"),
            "placed_at__lt": queries.instant(request, "until"),
            "change_number__gt": queries.whole_number(request, "changed_after", low=0, high=2**63 - 1),
        }
        rows = annotations.visible(record).select_related("author")
        rows = rows.filter(**{name: value for name, value in wanted.items() if value is not None})
        page = pages.page(rows, request=request, ordering=("-placed_at", "-id"))
        return Response({**page, "results": as_json(page["results"], own=record.own)})


class AnnotationDetail(DoorView):
    """One annotation."""

    roles = {
        "GET": reach.PATIENT_AND_TEAM,
        "PUT": reach.CLINICIAN,
        "PATCH": reach.CLINICIAN,
        "DELETE": reach.CLINICIAN,
    }

    @extend_schema(operation_id="annotation_read", responses={200: _STORED})
    def get(self, request: Request, id: uuid.UUID, annotation: uuid.UUID) -> Response:
        """The annotation; 410 to its author once deleted."""
        record = access.open_record(self.actor, id)
        return self._shown(self._find(record, annotation), own=record.own)

    @extend_schema(
        operation_id="annotation_put",
        request={"application/json": openapi.component(AnnotationBody)},
        examples=[_SENT],
        parameters=[openapi.IF_MATCH],
        responses={200: _STORED, 201: _STORED},
    )
    def put(self, request: Request, id: uuid.UUID, annotation: uuid.UUID) -> Response:
        """Creates or replaces; the same request twice is the same as once. Only the author replaces."""
        return self._store(self._record(id), annotation, bodies.decoded(request), etags.if_match(request))

    @extend_schema(
        operation_id="annotation_patch",
        request={"application/merge-patch+json": _PATCH, "application/json": _PATCH},
        parameters=[openapi.IF_MATCH],
        responses={200: _STORED},
    )
    def patch(self, request: Request, id: uuid.UUID, annotation: uuid.UUID) -> Response:
        """Changes the fields that the merge patch (RFC 7396) names."""
        patch = bodies.decoded(request)
        if not isinstance(patch, dict):
            raise problems.invalid(FieldError("", "invalid_type", "The body must be a JSON object."))
        record = self._record(id)
        row = self._find(record, annotation)
        shown = as_json([row], own=False)[0]
        notes.refuse_to_lose(shown, given=patch)
        whole = {name: shown[name] for name in ("about", "text", "private")}
        base = etags.if_match(request)
        return self._store(
            record, annotation, _merged(bodies.plain(whole), patch), row.version if base is None else base
        )

    @extend_schema(operation_id="annotation_delete", parameters=[openapi.IF_MATCH], responses={204: None})
    def delete(self, request: Request, id: uuid.UUID, annotation: uuid.UUID) -> Response:
        """Takes the annotation away; If-Match with the tombstone's version on a PUT restores it."""
        row = self._find(self._record(id), annotation)
        base = etags.if_match(request)
        try:
            row = annotations.delete(
                row, author=self.actor.person, now=self.now, base=row.version if base == etags.ANY else base
            )
        except annotations.NotTheAuthor as error:
            raise _not_the_author(error) from None
        except annotations.Stale as error:
            raise _stale(error.current) from None
        except annotations.Deleted as error:
            raise _gone(error.current) from None
        return Response(status=204, headers={"ETag": etags.of(row.version)})

    def _record(self, id: uuid.UUID) -> Record:
        """The record, opened for writing into it. Raises a 403 problem to the patient."""
        record = access.open_record(self.actor, id)
        if record.own:
            raise Problem(status=403, code="permission_denied", detail="Nobody annotates the own record.")
        return record

    def _find(self, record: Record, id: uuid.UUID) -> Annotation:
        try:
            row = annotations.find(record, id=id, reader=self.actor.person)
        except annotations.Deleted as error:
            raise _gone(error.current) from None
        if row is None:
            raise problems.not_found()
        return row

    def _store(self, record: Record, id: uuid.UUID, data: Any, base: int | None) -> Response:
        body = bodies.convert(data, AnnotationBody, ignored=READ_ONLY)
        if body.id not in {None, id}:
            raise problems.invalid(FieldError("/id", "mismatch", "The id in the body must equal the one in the path."))
        if base == etags.ANY:
            base = Annotation.objects.filter(id=id).values_list("version", flat=True).first() or 0
        try:
            row, new = annotations.put(
                record,
                id=id,
                author=self.actor.person,
                subject=body.about.subject(),
                text=body.text,
                private=body.private,
                now=self.now,
                base=base,
            )
        except annotations.UnknownRecord as error:
            raise problems.invalid(FieldError("/about/id", "unknown", str(error))) from None
        except annotations.NotTheAuthor as error:
            raise _not_the_author(error) from None
        except annotations.IdTaken:
            raise problems.not_found() from None
        except annotations.Stale as error:
            raise _stale(error.current) from None
        except annotations.Deleted as error:
            raise _gone(error.current) from None
        return self._shown(row, own=False, status=201 if new else 200)

    def _shown(self, row: Annotation, *, own: bool, status: int = 200) -> Response:
        return Response(as_json([row], own=own)[0], status=status, headers={"ETag": etags.of(row.version)})


def _merged(whole: Any, patch: Any) -> Any:
    """A merge patch (RFC 7396) applied."""
    if not isinstance(patch, dict) or not isinstance(whole, dict):
        return patch
    result = dict(whole)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name, {} if isinstance(value, dict) else None), value)
    return result


def _not_the_author(error: annotations.NotTheAuthor) -> Problem:
    return Problem(status=403, code="not_the_author", detail=str(error))


def _gone(row: Annotation) -> Problem:
    return etags.deleted("The annotation was deleted.", version=row.version, at=row.deleted_at)


def _stale(row: Annotation) -> Problem:
    return etags.stale("The annotation", current=as_json([row], own=False)[0])
