"""What the room's answers look like, as JSON and for the OpenAPI document."""

from collections.abc import Collection
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from backend.common import openapi
from backend.interop import exports
from backend.interop.formats import FORMATS
from backend.interop.models import (
    ErasureRequest,
    ErasureSource,
    ErasureStatus,
    Export,
    ExportStatus,
    LegalHold,
    RetentionRule,
    RightsSettings,
)

_ID = {"type": "string", "format": "uuid"}
_ID_OR_NULL = {"type": ["string", "null"], "format": "uuid"}
_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_AT = {"type": "string", "format": "date-time"}
_AT_OR_NULL = {"type": ["string", "null"], "format": "date-time"}
_LINK = {"type": ["string", "null"], "description": "Only while the file is there, only for you, only signed in"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


EXPORT = openapi.named(
    "Export",
    _object(
        id=_ID,
        about=_ID,
        format={"type": "string", "enum": list(FORMATS)},
        status={"type": "string", "enum": list(ExportStatus.values)},
        done={**_COUNT, "description": "Rows written so far"},
        total={"type": ["integer", "null"], "minimum": 0},
        requested_at=_AT,
        finished_at=_AT_OR_NULL,
        expires_at=_AT_OR_NULL,
        size_bytes={"type": ["integer", "null"], "minimum": 0},
        link=_LINK,
        error={"type": ["string", "null"]},
    ),
)
JOB = openapi.named(
    "Job",
    _object(
        id=_ID,
        kind={"type": "string", "enum": ["export"]},
        status={"type": "string", "enum": list(ExportStatus.values)},
        done=_COUNT,
        total={"type": ["integer", "null"], "minimum": 0},
        requested_at=_AT,
        finished_at=_AT_OR_NULL,
        link=_LINK,
        error={"type": ["string", "null"]},
    ),
)
ERASURE = openapi.named(
    "ErasureRequest",
    _object(
        id=_ID,
        patient=_ID,
        status={"type": "string", "enum": [*ErasureStatus.values, "held"]},
        source={"type": "string", "enum": list(ErasureSource.values)},
        reason=_TEXT,
        requested_at=_AT,
        confirmed_at=_AT_OR_NULL,
        erase_after_at={**_AT_OR_NULL, "description": "Until then it can be cancelled"},
        cancelled_at=_AT_OR_NULL,
        erased_at=_AT_OR_NULL,
        next={"type": ["string", "null"], "description": "What to do now, in words"},
        report={
            "type": ["object", "null"],
            "properties": {
                "erased": {"type": "object", "additionalProperties": _COUNT},
                "kept": {"type": "object", "additionalProperties": _TEXT},
                "account_kept": {"type": "boolean"},
                "data_key": {"type": "string", "enum": ["deleted", "none"]},
            },
        },
    ),
)
HOLD = openapi.named(
    "LegalHold",
    _object(
        id=_ID,
        patient=_ID,
        reason=_TEXT,
        set_by=_ID,
        set_at=_AT,
        lifted_by=_ID_OR_NULL,
        lifted_at=_AT_OR_NULL,
        lift_reason=_TEXT,
    ),
)
RULE = openapi.named(
    "RetentionRule",
    _object(kind=_TEXT, keep_days={"type": ["integer", "null"]}, basis=_TEXT, set_by=_ID_OR_NULL, set_at=_AT_OR_NULL),
)
SETTINGS = openapi.named(
    "RightsSettings",
    _object(
        cooling_off_days={"type": "integer", "minimum": 0, "maximum": 30},
        export_hours={"type": "integer", "minimum": 1, "maximum": 720},
    ),
)


def link_of(job: Export) -> str | None:
    """The path of the file, signed; None while there is none."""
    if job.status != ExportStatus.READY or job.expires_at is None:
        return None
    query = urlencode({"expires": job.expires_at.isoformat(), "signature": exports.signature(job)})
    return f"/api/v1/exports/{job.id}/file?{query}"


def export(job: Export) -> dict[str, Any]:
    """An export as its person sees it."""
    return {
        "id": job.id,
        "about": job.patient_id,
        "format": job.format,
        "status": job.status,
        "done": job.done,
        "total": job.total,
        "requested_at": job.requested_at,
        "finished_at": job.finished_at,
        "expires_at": job.expires_at,
        "size_bytes": job.size_bytes,
        "link": link_of(job),
        "error": job.error or None,
    }


def job(row: Export) -> dict[str, Any]:
    """An export as one of the person's background jobs."""
    shown = export(row)
    names = ("id", "status", "done", "total", "requested_at", "finished_at", "link", "error")
    return {"kind": "export", **{name: shown[name] for name in names}}


_NEXT = {
    ErasureStatus.ASKED: 'Confirm it: POST erasure-requests/{id}/confirm with {{"confirm": true}}.',
    ErasureStatus.COOLING: "It can be cancelled until erase_after_at: POST erasure-requests/{id}/cancel.",
    "held": "A legal hold keeps the record; the erasure follows when the clinic lifts it.",
}


def erasure(row: ErasureRequest, *, held: Collection[UUID]) -> dict[str, Any]:
    """A request; `held` are the patients whom a legal hold keeps."""
    waits = row.status in {ErasureStatus.ASKED, ErasureStatus.COOLING}
    status = "held" if row.status == ErasureStatus.COOLING and row.patient_id in held else row.status
    return {
        "id": row.id,
        "patient": row.patient_id,
        "status": status,
        "source": row.source,
        "reason": row.reason,
        "requested_at": row.requested_at,
        "confirmed_at": row.confirmed_at,
        "erase_after_at": row.erase_after_at,
        "cancelled_at": row.cancelled_at,
        "erased_at": row.erased_at,
        "next": _NEXT[status].format(id=row.id) if waits else None,
        "report": row.report,
    }


def hold(row: LegalHold) -> dict[str, Any]:
    """A legal hold as administrators see it."""
    return {
        "id": row.id,
        "patient": row.patient_id,
        "reason": row.reason,
        "set_by": row.set_by_id,
        "set_at": row.set_at,
        "lifted_by": row.lifted_by_id,
        "lifted_at": row.lifted_at,
        "lift_reason": row.lift_reason,
    }


def rule(row: RetentionRule | None, *, kind: str) -> dict[str, Any]:
    """A retention rule; without one a kind is kept without end."""
    if row is None:
        return {"kind": kind, "keep_days": None, "basis": "", "set_by": None, "set_at": None}
    return {
        "kind": row.kind,
        "keep_days": row.keep_days,
        "basis": row.basis,
        "set_by": row.set_by_id,
        "set_at": row.set_at,
    }


def settings(row: RightsSettings) -> dict[str, Any]:
    """What the clinic decided."""
    return {"cooling_off_days": row.cooling_off_days, "export_hours": row.export_hours}
