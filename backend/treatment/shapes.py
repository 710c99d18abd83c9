"""What an annotation looks like in a body and in an answer."""

import uuid
from datetime import UTC, date, timedelta
from typing import Annotated, Any

from msgspec import Meta

from backend.accounts import notes
from backend.common import bodies, openapi
from backend.common.bodies import Instant, Struct
from backend.common.problems import FieldError
from backend.treatment import annotations
from backend.treatment.annotations import Subject
from backend.treatment.models import About, Annotation

READ_ONLY = frozenset(
    {
        *("patient", "clinic", "author", "at", "version", "change_number"),
        *("received_at", "updated_at", "deleted_at", notes.UNREADABLE),
    }
)
NoteText = Annotated[str, Meta(min_length=1, max_length=4000, pattern="^[^\x00]*$", examples=["Dose halved today."])]


class AboutBody(Struct, kw_only=True, frozen=True):
    """What an annotation is about: `at`, or the days from `since` to before `until`; and or instead one record."""

    at: Instant | None = None
    since: date | None = None
    until: Annotated[date, Meta(description="The day after the last; the day after `since` when absent")] | None = None
    type: Annotated[str, bodies.choice(About.values)] | None = None
    id: uuid.UUID | None = None

    def wrong(self) -> list[FieldError]:
        """What does not fit together, by its place in the annotation's body."""
        found = []
        if self.at is None and self.since is None and self.id is None:
            found.append(FieldError("/about", "required", "Say what it is about: at, since, or type and id."))
        if self.at is not None and not bodies.within_reach(self.at):
            found.append(FieldError("/about/at", "out_of_range", "at must lie between 1900 and 2200."))
        if self.at is not None and self.since is not None:
            found.append(FieldError("/about/at", "too_many", "Give at or since, not both."))
        for name, day in (("since", self.since), ("until", self.until)):
            if day is not None and not bodies.EARLIEST.date() <= day <= bodies.LATEST.date():
                found.append(FieldError(f"/about/{name}", "out_of_range", f"{name} must lie between 1900 and 2200."))
        if self.until is not None and (self.since is None or self.until <= self.since):
            found.append(FieldError("/about/until", "out_of_order", "until is a day after since."))
        if (self.type is None) != (self.id is None):
            missing = "type" if self.type is None else "id"
            found.append(FieldError(f"/about/{missing}", "required", "A record is named by type and id together."))
        return found

    def subject(self) -> Subject:
        """The same for the domain."""
        until = self.until or (self.since + timedelta(days=1) if self.since else None)
        at = self.at and self.at.astimezone(UTC)
        return Subject(at, self.since, until, self.type or "", self.id)


class AnnotationBody(Struct, kw_only=True, frozen=True):
    """An annotation as its author writes it."""

    about: AboutBody
    text: NoteText
    private: Annotated[bool, Meta(description="Only the care team sees it, the patient does not")] = False
    id: uuid.UUID | None = None

    def faults(self) -> list[FieldError]:
        """What it is about must make sense."""
        return self.about.wrong()


_ID = {"type": "string", "format": "uuid"}
_ID_OR_NULL = {"type": ["string", "null"], "format": "uuid"}
_AT = {"type": "string", "format": "date-time"}
_DAY_OR_NULL = {"type": ["string", "null"], "format": "date"}
_PROPERTIES = {
    "id": _ID,
    "patient": _ID,
    "clinic": _ID,
    "author": {
        "type": "object",
        "required": ["id", "name"],
        "properties": {"id": _ID_OR_NULL, "name": {"type": "string"}},
        "description": "For the patient: only of the own care team, else `your clinic` without an id",
    },
    "about": {
        "type": "object",
        "required": ["at", "since", "until", "type", "id"],
        "properties": {
            "at": {"type": ["string", "null"], "format": "date-time"},
            "since": _DAY_OR_NULL,
            "until": {**_DAY_OR_NULL, "description": "The day after the last"},
            "type": {"type": ["string", "null"], "enum": [*About.values, None]},
            "id": _ID_OR_NULL,
        },
    },
    "at": {**_AT, "description": "Its place in time: `about.at`, the start of the first day, or the record's own time"},
    "text": {"type": ["string", "null"]},
    "private": {"type": "boolean"},
    "version": {"type": "integer", "description": "1 at creation, +1 with each change; also the ETag"},
    "change_number": {"type": "integer"},
    "received_at": _AT,
    "updated_at": _AT,
}
_UNREADABLE = {
    "type": "array",
    "items": {"type": "string"},
    "description": "Only where the text cannot be read: its name; the text is null then",
}
ANNOTATION = openapi.named(
    "Annotation",
    {
        "type": "object",
        "required": list(_PROPERTIES),
        "properties": {**_PROPERTIES, notes.UNREADABLE: _UNREADABLE},
    },
)  # fmt: skip
EXAMPLE = {
    "id": "0190163d-8694-739b-aea5-966c26f8ad91",
    "patient": "0190163d-8694-739b-aea5-000000000007",
    "clinic": "0190163d-8694-739b-aea5-000000000001",
    "author": {"id": "0190163d-8694-739b-aea5-000000000003", "name": "Dr. S. M."},
    "about": {"at": None, "since": "2026-11-03", "until": "2026-11-10", "type": None, "id": None},
    "at": "2026-11-02T18:30:00Z",
    "text": "Week of the move; nights were short.",
    "private": False,
    "version": 1,
    "change_number": 212,
    "received_at": "2026-11-10T05:12:44Z",
    "updated_at": "2026-11-10T05:12:44Z",
}
BODY_EXAMPLE = {
    "about": {"since": "2026-11-03", "until": "2026-11-10"},
    "text": "Week of the move; nights were short.",
    "private": False,
}


def as_json(rows: list[Annotation], *, own: bool) -> list[dict[str, Any]]:
    """The annotations as the care team sees them, or as the patient (`own`) does, in at most two queries.

    A text that cannot be read is null and named in `unreadable`, a member that others do not have.
    """
    written_by, texts = annotations.authors(rows, own=own), annotations.texts(rows)
    return [
        {
            "id": row.id,
            "patient": row.patient_id,
            "clinic": row.clinic_id,
            "author": written_by[row.id],
            "about": about(row),
            "at": row.placed_at,
            "text": texts[row.id],
            "private": row.private_at is not None,
            "version": row.version,
            "change_number": row.change_number,
            "received_at": row.received_at,
            "updated_at": row.updated_at,
            **({notes.UNREADABLE: ["text"]} if texts[row.id] is None else {}),
        }
        for row in rows
    ]


def about(row: Annotation) -> dict[str, Any]:
    """What it is about, null where it says nothing."""
    return {
        "at": row.about_at,
        "since": row.about_since_on,
        "until": row.about_until_on,
        "type": row.about_type or None,
        "id": row.about_id,
    }
