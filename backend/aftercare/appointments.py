"""Appointments: follow-up, therapy, treatment; once or recurring, each occurrence with its reminders."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from backend.accounts import counters, keys, notes
from backend.accounts.models import CLINICIANS, Clinic, Membership, Person
from backend.aftercare import occurrences
from backend.aftercare.models import Appointment, AppointmentStatus, Occurrence
from backend.aftercare.occurrences import ENDED
from backend.common.sealing import Place

# Ours: what began longer ago is history, and no phone's calendar slip.
LONGEST_AGO = timedelta(days=365)


class IdTaken(ValueError):
    """The id belongs to another patient's appointment."""


class Stale(ValueError):
    """The appointment changed since the version that the write was made from."""

    def __init__(self, current: Appointment) -> None:
        super().__init__("The appointment has changed since.")
        self.current = current


class Deleted(ValueError):
    """The appointment was deleted."""

    def __init__(self, current: Appointment) -> None:
        super().__init__("The appointment was deleted.")
        self.current = current


class NotOnStaff(ValueError):
    """An appointment is with a clinician of the same clinic."""


class Ended(ValueError):
    """What is cancelled, held or missed does not change any more."""


class NotBegun(ValueError):
    """Nobody has missed what has not begun."""


class LongAgo(ValueError):
    """An appointment is not made for a time more than a year ago."""


class UnknownOccurrence(LookupError):
    """The appointment has no such occurrence."""


def put(
    *,
    id: uuid.UUID,
    clinic: Clinic,
    patient: Person,
    kind: str,
    starts_at: datetime,
    minutes: int,
    now: datetime,
    time_zone: str | None = None,
    with_person: uuid.UUID | None = None,
    rrule: str | None = None,
    exdates: Sequence[datetime] = (),
    place: str = "",
    link: str = "",
    note: str = "",
    base: int | None = None,
) -> tuple[Appointment, bool]:
    """Creates or changes an appointment with its occurrences and reminders; the second value says whether it is new.

    The same content again changes nothing. Another time of a single one awaits a new answer. Raises IdTaken, Stale,
    Deleted, Ended, LongAgo, NotOnStaff, recurrence.RuleError.
    """
    if with_person is not None and not _works_at(with_person, clinic):
        raise NotOnStaff("`with` must be a psychiatrist, therapist or nurse of this clinic.")
    content: dict[str, Any] = {
        "kind": kind,
        "starts_at": starts_at.astimezone(UTC),
        "time_zone": time_zone or clinic.time_zone,
        "minutes": minutes,
        "with_person_id": with_person,
        "rrule": rrule,
        "exdates": sorted({at.astimezone(UTC) for at in exdates}),
        "place": place,
        "link": link,
    }
    counters.next_numbers(patient_id=patient.id, count=0)  # a lock that holds for a patient's first write too
    row = Appointment.objects.select_related("patient").filter(id=id).first()
    new = row is None
    if row is None:
        if base is not None:
            raise IdTaken("There is no such appointment to change.")
        row = Appointment(id=id, clinic=clinic, patient=patient, received_at=now, expanded_until_at=now, version=0)
    else:
        if row.patient_id != patient.id or row.clinic_id != clinic.id:
            raise IdTaken("This id belongs to another appointment.")
        _check_base(row, base)
        same = all(getattr(row, name) == value for name, value in content.items()) and _says(row, note)
        if row.deleted_at is None and same:
            return row, False
        if row.status in ENDED:
            raise Ended(f"This appointment is {_words(row.status)}; make a new one.")
    moved = row.starts_at != content["starts_at"]
    if moved and starts_at < now - LONGEST_AGO:
        raise LongAgo(f"starts_at lies more than {LONGEST_AGO.days} days back.")
    for name, value in content.items():
        setattr(row, name, value)
    row.note = _sealed(row, note, now=now) if note else ""
    occurrences.refuse(row, now=now)
    if moved or rrule is not None:
        row.status = AppointmentStatus.PLANNED
    row.deleted_at = None
    _save(row, now=now, new=new)
    occurrences.expand(row, now=now)
    return row, new


def answer(
    *, appointment: Appointment, status: AppointmentStatus, now: datetime, occurrence_id: uuid.UUID | None = None
) -> Appointment:
    """Confirms, asks to move, cancels or marks as missed; the same again changes nothing.

    Of a series `cancelled` is said of all that is to come, `no_show` of the last occurrence that began, the others of
    the next one, unless an occurrence is named. Raises Deleted, Ended, NotBegun, UnknownOccurrence.
    """
    _lock(appointment)
    if appointment.deleted_at is not None:
        raise Deleted(appointment)
    single = appointment.rrule is None
    named = _named(appointment, occurrence_id) if occurrence_id is not None else None
    if single or (named is None and status == AppointmentStatus.CANCELLED):
        _follow(appointment.status, status, starts_at=appointment.starts_at, now=now)
        touched = list(appointment.occurrences.filter(**{} if single else {"starts_at__gt": now}))
        changed = appointment.status != status
        appointment.status = status
    else:
        chosen = named or _meant(appointment, status, now=now)
        _follow(chosen.status, status, starts_at=chosen.starts_at, now=now)
        touched, changed = [chosen], chosen.status != status
    if not changed:
        return appointment
    _save(appointment, now=now)
    touched = [occurrence for occurrence in touched if occurrence.status not in ENDED]
    Occurrence.objects.filter(id__in=[occurrence.id for occurrence in touched]).update(status=status)
    if status in ENDED:
        occurrences.silence(touched, now=now)
    return appointment


def delete(*, appointment: Appointment, now: datetime, base: int | None = None) -> Appointment:
    """Leaves a tombstone and ends its reminders. Raises Stale, Deleted."""
    _lock(appointment)
    _check_base(appointment, base)
    if appointment.deleted_at is not None:
        raise Deleted(appointment)
    appointment.deleted_at = now
    _save(appointment, now=now)
    occurrences.silence(appointment.occurrences.all(), now=now)
    return appointment


def _says(row: Appointment, note: str) -> bool:
    """Whether the appointment's note says this."""
    ring = keys.Ring([row.patient_id])
    return notes.says(row.note, note, ring=ring, patient_id=row.patient_id, place=_place(row))


def _sealed(row: Appointment, note: str, *, now: datetime) -> str:
    return notes.seal(note, by=keys.current(patient_id=row.patient_id, now=now), place=_place(row))


def _place(row: Appointment) -> Place:
    return Place(Appointment._meta.db_table, row.id, "note")


def _lock(appointment: Appointment) -> None:
    counters.lock(patient_id=appointment.patient_id)
    appointment.refresh_from_db()


def _named(appointment: Appointment, id: uuid.UUID) -> Occurrence:
    occurrence = appointment.occurrences.filter(id=id).first()
    if occurrence is None:
        raise UnknownOccurrence(str(id))
    return occurrence


def _meant(appointment: Appointment, status: AppointmentStatus, *, now: datetime) -> Occurrence:
    """The occurrence of a series that an answer is about when it names none."""
    if status == AppointmentStatus.NO_SHOW:
        last = appointment.occurrences.filter(starts_at__lte=now).order_by("starts_at").last()
        if last is None:
            raise NotBegun("No occurrence of this series has begun.")
        return last
    to_come = appointment.occurrences.filter(starts_at__gt=now).exclude(status__in=ENDED)
    following = to_come.order_by("starts_at").first()
    if following is None:
        raise Ended("This series has no occurrence to come; make a new appointment.")
    return following


def _follow(present: str, wanted: AppointmentStatus, *, starts_at: datetime, now: datetime) -> None:
    if present == wanted:
        return
    if present in ENDED:
        raise Ended(f"This appointment is {_words(present)}; make a new one.")
    if wanted == AppointmentStatus.NO_SHOW and starts_at > now:
        raise NotBegun("This appointment has not begun.")


def _words(status: str) -> str:
    return {"no_show": "missed"}.get(status, status)


def _check_base(row: Appointment, base: int | None) -> None:
    if base is not None and base != row.version:
        raise Stale(row)
    if base is None and row.deleted_at is not None:
        raise Deleted(row)


def _save(row: Appointment, *, now: datetime, new: bool = False) -> None:
    row.version += 1
    row.updated_at = now
    row.change_number = counters.next_numbers(patient_id=row.patient_id)
    if not new:
        row.save(
            update_fields=[
                "kind", "starts_at", "time_zone", "minutes", "with_person", "rrule", "exdates", "place", "link",
                "note", "status", "version", "updated_at", "change_number", "deleted_at",
            ]
        )  # fmt: skip
        return
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:  # another patient's appointment took the id in the same moment
        raise IdTaken("This id belongs to another appointment.") from None


def _works_at(person_id: uuid.UUID, clinic: Clinic) -> bool:
    return Membership.objects.filter(
        person_id=person_id, clinic=clinic, role__in=CLINICIANS, ended_at__isnull=True
    ).exists()
