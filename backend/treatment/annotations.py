"""Annotations: what the care team notes beside a patient's own words; each is changed by its author alone."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from backend.accounts import counters, keys, notes
from backend.accounts.access import Record
from backend.accounts.models import CareTeamMember, Person
from backend.aftercare import kinds
from backend.aftercare.models import Appointment
from backend.common import clock
from backend.common.fields import Sealed
from backend.common.sealing import Place
from backend.treatment.models import About, Annotation, Session


class IdTaken(ValueError):
    """The id belongs to another record, or to nothing where a version was named."""


class NotTheAuthor(PermissionError):
    """Only the author changes an annotation."""


class UnknownRecord(LookupError):
    """The patient has no such record, or another clinic keeps it."""


class Stale(ValueError):
    """The annotation changed since the version that the write was made from."""

    def __init__(self, current: Annotation) -> None:
        super().__init__("The annotation has changed since.")
        self.current = current


class Deleted(ValueError):
    """The annotation was deleted."""

    def __init__(self, current: Annotation) -> None:
        super().__init__("The annotation was deleted.")
        self.current = current


@dataclass(frozen=True, slots=True)
class Subject:
    """What an annotation is about: an instant or days (`until_on` is the day after the last), a record, or both."""

    at: datetime | None = None
    since_on: date | None = None
    until_on: date | None = None
    type: str = ""
    id: uuid.UUID | None = None


def visible(record: Record) -> QuerySet[Annotation]:
    """Those of an opened record that its opener may read: a clinic its own, the patient all that are not private."""
    rows = Annotation.objects.filter(patient=record.patient, deleted_at__isnull=True)
    if record.clinic_id is None:
        return rows.filter(private_at__isnull=True)
    return rows.filter(clinic_id=record.clinic_id)


def find(record: Record, *, id: uuid.UUID, reader: Person) -> Annotation | None:
    """The annotation if the reader may see it. Raises Deleted to its author when it was deleted."""
    row = visible(record).select_related("author").filter(id=id).first()
    if row is None and record.clinic_id is not None:
        mine = Annotation.objects.filter(patient=record.patient, clinic_id=record.clinic_id, author=reader, id=id)
        if (gone := mine.first()) is not None:
            raise Deleted(gone)
    return row


def put(
    record: Record,
    *,
    id: uuid.UUID,
    author: Person,
    subject: Subject,
    text: str,
    private: bool,
    now: datetime,
    base: int | None = None,
) -> tuple[Annotation, bool]:
    """Creates or changes an annotation in a record that the author's clinic opened; the second value: it is new.

    The same content again, or content that it held before, changes nothing. Raises IdTaken, NotTheAuthor,
    UnknownRecord, Stale, Deleted.
    """
    patient, clinic_id = record.patient, _clinic(record)
    counters.next_numbers(patient_id=patient.id, count=0)  # a lock that holds for a patient's first write too
    row = Annotation.objects.select_related("author").filter(id=id).first()
    if row is None:
        if base is not None:
            raise IdTaken("There is no such annotation to change.")
        row = Annotation(
            id=id, clinic_id=clinic_id, patient=patient, author=author, received_at=now, version=0
        )  # fmt: skip
    else:
        if row.patient_id != patient.id or row.clinic_id != clinic_id:
            raise IdTaken("This id belongs to another annotation.")
        if row.author_id != author.id:
            raise NotTheAuthor("Only its author changes an annotation; write one of your own beside it.")
        if _is_replay(row, subject, text, private, base):
            return row, False
    row.placed_at = _place(record, subject)
    row.about_at, row.about_since_on, row.about_until_on = subject.at, subject.since_on, subject.until_on
    row.about_type, row.about_id = subject.type, subject.id
    row.text = _sealed(row, text, now=now)
    row.private_at = (row.private_at or now) if private else None
    row.deleted_at = None
    new = row.version == 0
    _save(row, now=now, new=new)
    return row, new


def delete(annotation: Annotation, *, author: Person, now: datetime, base: int | None = None) -> Annotation:
    """Leaves a tombstone that its author can restore. Raises NotTheAuthor, Stale, Deleted."""
    counters.lock(patient_id=annotation.patient_id)
    annotation.refresh_from_db()
    if annotation.author_id != author.id:
        raise NotTheAuthor("Only its author takes an annotation away.")
    if base is not None and base != annotation.version:
        raise Stale(annotation)
    if annotation.deleted_at is not None:
        raise Deleted(annotation)
    annotation.deleted_at = now
    _save(annotation, now=now)
    return annotation


def subject_of(row: Any) -> Subject:
    """What an annotation, or an earlier version of one, is about."""
    return Subject(row.about_at, row.about_since_on, row.about_until_on, row.about_type, row.about_id)


def _is_replay(row: Annotation, subject: Subject, text: str, private: bool, base: int | None) -> bool:
    """Whether nothing is to be written: this stands already, or is a late copy of what stood. Raises Stale, Deleted."""
    stands = row.deleted_at is None and _says(row, subject, text, private)
    if base is not None:
        # The very change, sent again because its answer was lost: the version that it made still says the same.
        if stands and base in {row.version, row.version - 1}:
            return True
        if base != row.version:
            raise Stale(row)
        return False
    if stands:
        return True
    if row.deleted_at is not None:
        raise Deleted(row)
    earlier = Annotation.pgh_event_model.objects.filter(id=row.id)  # type: ignore[attr-defined]
    return any(_says(version, subject, text, private) for version in earlier)


def _says(row: Any, subject: Subject, text: str, private: bool) -> bool:
    """Whether the annotation, or an earlier version of it, says this."""
    if subject_of(row) != subject or (row.private_at is not None) != private:
        return False
    ring = keys.Ring([row.patient_id])
    return notes.says(row.text, text, ring=ring, patient_id=row.patient_id, place=_place_of(row))


def _sealed(row: Annotation, text: str, *, now: datetime) -> Sealed:
    return notes.seal(text, by=keys.current(patient_id=row.patient_id, now=now), place=_place_of(row))


def _place_of(row: Any) -> Place:
    return Place(Annotation._meta.db_table, row.id, "text")


def _place(record: Record, subject: Subject) -> datetime:
    """Where it stands in time. Raises UnknownRecord."""
    own_time = _own_time(record, subject) if subject.id is not None else None
    if subject.at is not None:
        return subject.at
    if (day := subject.since_on or (own_time if not isinstance(own_time, datetime) else None)) is not None:
        return _start_of(day, record)
    assert isinstance(own_time, datetime)  # noqa: S101 - an annotation is about something
    return own_time


def _own_time(record: Record, subject: Subject) -> datetime | date:
    """When the record that it points at happened. Raises UnknownRecord."""
    found: datetime | date | None = None
    named: dict[str, Any] = {"patient": record.patient, "id": subject.id, "deleted_at__isnull": True}
    if subject.type == About.SESSION:
        session = Session.objects.filter(**named, clinic_id=_clinic(record)).first()
        found = (session.started_at or session.planned_at) if session else None
    elif subject.type == About.APPOINTMENT:
        visits = Appointment.objects.filter(**named, clinic_id=_clinic(record))
        found = visits.values_list("starts_at", flat=True).first()
    else:
        kind = next(kind for kind in kinds.kinds() if kind.table.removesuffix("s") == subject.type)
        found = kind.model._default_manager.filter(**named).values_list(kind.own_time, flat=True).first()
    if found is None:
        raise UnknownRecord("This patient has no such record here.")
    return found


def _clinic(record: Record) -> uuid.UUID:
    """The clinic for which a record was opened; the patient's own view has none and writes no annotation."""
    if record.clinic_id is None:
        raise NotTheAuthor("Nobody annotates the own record.")
    return record.clinic_id


def _start_of(day: date, record: Record) -> datetime:
    """When the day begins where the patient lived then."""
    for zone, since_at in reversed(record.zones):
        starts = datetime.combine(day, time(), clock.zone(zone))
        if starts >= since_at:
            return starts.astimezone(UTC)
    return datetime.combine(day, time(), clock.zone(record.zones[0][0])).astimezone(UTC)


def _save(row: Annotation, *, now: datetime, new: bool = False) -> None:
    row.version += 1
    row.updated_at = now
    row.change_number = counters.next_numbers(patient_id=row.patient_id)
    if not new:
        row.save(
            update_fields=[
                "about_at", "about_since_on", "about_until_on", "about_type", "about_id", "placed_at", "text",
                "private_at", "version", "updated_at", "change_number", "deleted_at",
            ]
        )  # fmt: skip
        return
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:  # another record, which is not the author's to see, has the id
        raise IdTaken("This id belongs to another annotation.") from None


def texts(rows: Sequence[Annotation]) -> dict[uuid.UUID, str | None]:
    """What each says, by the annotation's id; None where it cannot be read. One query for the keys of all."""
    held = [{"id": row.id, "patient_id": row.patient_id, "text": row.text} for row in rows]
    opened = notes.opened(Annotation._meta.db_table, held, ("text",))
    return {row.id: said["text"] for row, said in zip(rows, opened, strict=True)}


def authors(rows: Sequence[Annotation], *, own: bool) -> dict[uuid.UUID, dict[str, Any]]:
    """Who wrote each, by the annotation's id, as `{id, name}`.

    A patient (`own`) learns the names of the own care team and of nobody else. Rows come with their author.
    """
    on_team = set(
        CareTeamMember.objects.filter(
            patient_id__in={row.patient_id for row in rows}, ended_at__isnull=True
        ).values_list("patient_id", "clinic_id", "member_id")
        if own and rows
        else ()
    )
    return {
        row.id: {"id": row.author.id, "name": row.author.full_name}
        if row.author is not None and (not own or (row.patient_id, row.clinic_id, row.author.id) in on_team)
        else {"id": None, "name": "your clinic"}
        for row in rows
    }
