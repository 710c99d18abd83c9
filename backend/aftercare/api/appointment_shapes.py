"""What an appointment looks like in an answer."""

import uuid
from typing import Any

from backend.accounts import notes
from backend.aftercare.models import Appointment, AppointmentKind, AppointmentStatus, Occurrence
from backend.common import openapi

_OCCURRENCE = {
    "type": "object",
    "required": ["id", "starts_at", "status"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "starts_at": {"type": "string", "format": "date-time"},
        "status": {"type": "string", "enum": list(AppointmentStatus.values)},
    },
}
APPOINTMENT = openapi.named(
    "Appointment",
    {
        "type": "object",
        "required": ["id", "patient", "kind", "starts_at", "time_zone", "minutes", "status", "occurrences", "version"],
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "patient": {"type": "string", "format": "uuid"},
            "clinic": {"type": "string", "format": "uuid"},
            "kind": {"type": "string", "enum": list(AppointmentKind.values)},
            "starts_at": {"type": "string", "format": "date-time"},
            "time_zone": {"type": "string", "description": "The wall time of `rrule` is kept in it"},
            "minutes": {"type": "integer"},
            "with": {"type": ["string", "null"], "format": "uuid"},
            "rrule": {"type": ["string", "null"]},
            "exdates": {"type": "array", "items": {"type": "string", "format": "date-time"}},
            "place": {"type": "string"},
            "link": {"type": "string"},
            "note": {"type": ["string", "null"]},
            "unreadable": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Only where a note cannot be read: its name; the note is null then",
            },
            "status": {"type": "string", "enum": list(AppointmentStatus.values)},
            "occurrences": {"type": "array", "items": _OCCURRENCE},
            "version": {"type": "integer"},
            "change_number": {"type": "integer"},
            "received_at": {"type": "string", "format": "date-time"},
            "updated_at": {"type": "string", "format": "date-time"},
        },
    },
)


def as_json(rows: list[Appointment], *, with_notes: bool = True) -> list[dict[str, Any]]:
    """The appointments with their occurrences, three queries for any number of them; caregivers read no notes."""
    occurrences: dict[uuid.UUID, list[dict[str, Any]]] = {}
    found = Occurrence.objects.filter(appointment__in=rows).order_by("starts_at", "id")
    for occurrence in found:
        occurrences.setdefault(occurrence.appointment_id, []).append(
            {"id": occurrence.id, "starts_at": occurrence.starts_at, "status": occurrence.status}
        )
    held = [{"id": row.id, "patient_id": row.patient_id, "note": row.note if with_notes else ""} for row in rows]
    texts = notes.opened(Appointment._meta.db_table, held, ("note",))
    return [
        {
            "id": row.id,
            "patient": row.patient_id,
            "clinic": row.clinic_id,
            "kind": row.kind,
            "starts_at": row.starts_at,
            "time_zone": row.time_zone,
            "minutes": row.minutes,
            "with": row.with_person_id,
            "rrule": row.rrule,
            "exdates": row.exdates,
            "place": row.place,
            "link": row.link,
            "note": text["note"],
            "status": row.status,
            "occurrences": occurrences.get(row.id, []),
            "version": row.version,
            "change_number": row.change_number,
            "received_at": row.received_at,
            "updated_at": row.updated_at,
            **({notes.UNREADABLE: missing} if (missing := notes.unreadable(text)) else {}),
        }
        for row, text in zip(rows, texts, strict=True)
    ]
