"""The OpenAPI description of a kind's doors, made from its body shape."""

import copy
from typing import Any, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view

from backend.aftercare.api import logs as api
from backend.aftercare.kinds import Kind
from backend.common import openapi

View = TypeVar("View", bound=api.KindView)

_SERVER_FIELDS = {
    "id": {"type": "string", "format": "uuid"},
    "patient": {"type": "string", "format": "uuid"},
    "version": {"type": "integer", "description": "1 at creation, +1 with each change; also the ETag"},
    "change_number": {"type": "integer", "description": "The patient's counter at the last change, for sync"},
    "received_at": {"type": "string", "format": "date-time", "description": "The server's clock at the first receipt"},
    "updated_at": {"type": "string", "format": "date-time"},
    "source": {"type": "string", "enum": ["patient", "staff", "import"]},
    "skew_ms": {"type": ["integer", "null"], "description": "received_at - sent_at, in milliseconds"},
    "unreadable": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Only where a note cannot be read: its name; the note is null then",
    },
}

openapi.IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description='The version it was made from: `"3"`'
)


def documented(view: type[View], kind: Kind) -> type[View]:
    """The view of this kind, described."""
    word = kind.table.removesuffix("s")
    made: type[View] = type(f"{view.__name__}Of{kind.model.__name__}", (view,), {"kind": kind, "__doc__": view.__doc__})
    record = openapi.named(kind.model.__name__, _record_schema(kind))
    body = {"application/json": openapi.component(kind.shape)}
    stored = {200: OpenApiResponse(record, description="Stored already, or changed"), 201: OpenApiResponse(record)}
    if issubclass(view, api.LogList):
        verbs: dict[str, Any] = {
            "get": extend_schema(
                operation_id=f"{kind.table}_list", parameters=_filters(kind), responses={200: openapi.listing(record)}
            ),
            "post": extend_schema(
                operation_id=f"{kind.table}_create",
                request=body,
                responses=stored | {410: openapi.problem("The record with this id was deleted.")},
            ),
        }
    elif issubclass(view, api.LogBatch):
        verbs = {
            "post": extend_schema(
                operation_id=f"{kind.table}_batch",
                request={"application/json": _batch_schema(kind)},
                responses={200: _results_schema(record)},
            )
        }
    else:
        patch = {"type": "object", "description": "RFC 7396 merge patch", "properties": _loose(kind)}
        verbs = {
            "get": extend_schema(operation_id=f"{word}_read", responses={200: record}),
            "put": extend_schema(
                operation_id=f"{word}_put", request=body, parameters=[openapi.IF_MATCH], responses=stored
            ),
            "patch": extend_schema(
                operation_id=f"{word}_patch",
                request={"application/merge-patch+json": patch, "application/json": patch},
                parameters=[openapi.IF_MATCH],
                responses={200: record},
            ),
            "delete": extend_schema(
                operation_id=f"{word}_delete", parameters=[openapi.IF_MATCH], responses={204: None}
            ),
        }
    return extend_schema_view(**verbs)(made)


def _loose(kind: Kind) -> dict[str, Any]:
    properties = openapi.schema_of(kind.shape)["properties"]
    return {name: properties[name] for name in (c.name for c in kind.content)}


def _record_schema(kind: Kind) -> dict[str, Any]:
    properties = copy.deepcopy(_loose(kind))
    for schema in properties.values():
        schema.pop("default", None)
    return {
        "type": "object",
        "required": ["id", "patient", *properties, "version", "change_number", "received_at", "updated_at", "source"],
        "properties": {**properties, **_SERVER_FIELDS},
    }


def _batch_schema(kind: Kind) -> dict[str, Any]:
    base = {"type": ["integer", "null"], "minimum": 1, "description": "The version that the edit was made from"}
    properties = openapi.schema_of(kind.shape)["properties"]
    record = {
        "type": "object",
        "required": ["id", *openapi.schema_of(kind.shape)["required"]],
        "properties": {**properties, "id": {"type": "string", "format": "uuid"}, "base_version": base},
    }
    # One bad record does not make the request bad, so the request's schema lets it pass to its own verdict.
    item = {"anyOf": [record, {"description": "Anything else is `rejected`; the other records are stored."}]}
    records = {"type": "array", "maxItems": api.BATCH_LIMIT, "items": item}
    return {
        "type": "object",
        "required": ["records"],
        "properties": {"records": records},
        "additionalProperties": False,
    }


def _results_schema(record: dict[str, Any]) -> dict[str, Any]:
    outcomes = ["created", "unchanged", "updated", "conflict", "rejected"]
    error = {"$ref": "#/components/schemas/Problem/properties/errors/items"}
    item = {
        "type": "object",
        "required": ["id", "outcome", "errors"],
        "properties": {
            "id": {"type": ["string", "null"]},
            "outcome": {"type": "string", "enum": outcomes},
            "errors": {"type": "array", "items": error},
            "version": {"type": "integer"},
            "change_number": {"type": "integer"},
            "current": {**record, "description": "The record as it stands, on a conflict"},
        },
    }
    return {"type": "object", "required": ["results"], "properties": {"results": {"type": "array", "items": item}}}


def _filters(kind: Kind) -> list[OpenApiParameter]:
    time = OpenApiTypes.DATE if kind.by_date else OpenApiTypes.DATETIME
    found = [
        OpenApiParameter("patient", OpenApiTypes.UUID, description="Whose entries; clinicians must say it"),
        OpenApiParameter("since", time, description=f"`{kind.own_time}` from here, included"),
        OpenApiParameter("until", time, description=f"`{kind.own_time}` up to here, not included"),
        OpenApiParameter("changed_after", OpenApiTypes.INT64, description="Only what changed after this change number"),
        OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
        OpenApiParameter("cursor", OpenApiTypes.STR),
    ]
    return found + [
        OpenApiParameter(name, OpenApiTypes.STR, enum=choices or None)
        for name, choices in api.LogList.coded_columns(kind).items()
    ]
