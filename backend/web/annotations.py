"""The care team's annotations on a patient's page: the latest ones, and the form for another."""

import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.http import QueryDict

from backend.accounts.access import Record
from backend.accounts.models import Person
from backend.common import bodies, clock
from backend.insights import telling, words
from backend.treatment import annotations
from backend.treatment.annotations import Subject
from backend.treatment.models import Annotation

SHOWN = 5
LONGEST = 4000


def latest(record: Record) -> list[dict[str, Any]]:
    """The latest annotations, as the page shows them."""
    rows = list(annotations.visible(record).select_related("author").order_by("-placed_at", "-id")[:SHOWN])
    written_by, texts = annotations.authors(rows, own=record.own), annotations.texts(rows)
    return [
        {
            "author": written_by[row.id]["name"],
            "when": _days(row) or words.full(row.placed_at.astimezone(_zone(record)).date()),
            "text": telling.UNREADABLE if (text := texts[row.id]) is None else text,
            "private": row.private_at is not None,
        }
        for row in rows
    ]


def form(record: Record, *, now: datetime, sent: QueryDict | None = None, fault: str = "") -> dict[str, Any]:
    """The fields of the form: empty, or as they were sent with the fault. Its id makes a second press harmless."""
    given = sent or QueryDict()
    return {
        "id": given.get("id") or str(uuid.uuid4()),
        "on": given.get("on") or now.astimezone(_zone(record)).date().isoformat(),
        "text": given.get("text", ""),
        "private": given.get("private") == "yes",
        "fault": fault,
        "longest": LONGEST,
    }


def store(record: Record, *, author: Person, sent: QueryDict, now: datetime) -> str:
    """Stores what the form holds. Returns what is wrong with it in words, nothing when it stands."""
    text = sent.get("text", "").replace("\r\n", "\n").strip()
    if not text:
        return "Write something first."
    if len(text) > LONGEST or "\x00" in text:
        return f"At most {LONGEST:,} characters, of those that can be written."
    try:
        id, day = uuid.UUID(sent.get("id", "")), date.fromisoformat(sent.get("on", ""))
    except ValueError:
        return "Choose the day that it is about."
    if not bodies.EARLIEST.date() <= day <= bodies.LATEST.date():
        return "Choose the day that it is about."
    subject = Subject(since_on=day, until_on=day + timedelta(days=1))
    private = sent.get("private") == "yes"
    try:
        annotations.put(record, id=id, author=author, subject=subject, text=text, private=private, now=now)
    except (annotations.IdTaken, annotations.NotTheAuthor, annotations.Deleted):
        return "This form was used before; open the page again and write it there."
    return ""


def _days(row: Annotation) -> str:
    if row.about_since_on is None or row.about_until_on is None:
        return ""
    last = row.about_until_on - timedelta(days=1)
    first = words.short(row.about_since_on)
    return words.full(last) if last == row.about_since_on else f"{first} to {words.full(last)}"


def _zone(record: Record) -> Any:
    return clock.zone(record.patient.time_zone)


def happened(found: Sequence[Any], *, record: Record, now: datetime) -> list[dict[str, Any]]:
    """Entries of the timeline as the page shows them, in the patient's zone."""
    zone, today = record.patient.time_zone, now.astimezone(UTC)
    return [
        {
            "kind": entry.kind,
            "when": words.full(entry.on) if entry.on else words.moment(entry.at, now=today, zone=zone),
            "iso": (entry.on or entry.at).isoformat(),
            "title": entry.title,
            "detail": entry.detail,
        }
        for _, entry in found
    ]
