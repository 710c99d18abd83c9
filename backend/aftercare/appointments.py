"""Appointments: follow-up, therapy, treatment; once or recurring, each occurrence with its reminders."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from backend.accounts import access, counters
from backend.accounts.models import CLINICIANS, Clinic, Membership, Person
from backend.aftercare.models import Appointment, AppointmentStatus, Occurrence
from backend.common import clock
from backend.reminders import planning, recurrence, walltime
from backend.reminders.models import Purpose

HORIZON = timedelta(days=90)
# DOMAIN.md and API.md: the same wall time on the day before in the patient's zone, and two hours elapsed.
REMIND_BEFORE = (planning.DAY_BEFORE, planning.TWO_HOURS_BEFORE)
ENDED = frozenset({AppointmentStatus.CANCELLED, AppointmentStatus.HELD, AppointmentStatus.NO_SHOW})
# Which answer may follow which (ours): what has been held, missed or cancelled stays so.
_MAY_BECOME = {
    AppointmentStatus.CONFIRMED: {AppointmentStatus.PLANNED, AppointmentStatus.MOVE_ASKED},
    AppointmentStatus.MOVE_ASKED: {AppointmentStatus.PLANNED, AppointmentStatus.CONFIRMED},
    AppointmentStatus.CANCELLED: {AppointmentStatus.PLANNED, AppointmentStatus.CONFIRMED, AppointmentStatus.MOVE_ASKED},
    AppointmentStatus.NO_SHOW: {AppointmentStatus.PLANNED, AppointmentStatus.CONFIRMED, AppointmentStatus.MOVE_ASKED},
}


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

    The same content again changes nothing. Raises IdTaken, Stale, Deleted, NotOnStaff, recurrence.RuleError.
    """
    zone = time_zone or clinic.time_zone
    if with_person is not None and not _works_at(with_person, clinic):
        raise NotOnStaff("`with` must be a psychiatrist, therapist or nurse of this clinic.")
    content: dict[str, Any] = {
        "kind": kind,
        "starts_at": starts_at,
        "time_zone": zone,
        "minutes": minutes,
        "with_person_id": with_person,
        "rrule": rrule,
        "exdates": sorted(exdates),
        "place": place,
        "link": link,
        "note": note,
    }
    _instants(
        starts_at=starts_at, zone=zone, rrule=rrule, exdates=exdates, until=now + HORIZON
    )  # refuses a bad rule first
    counters.lock(patient_id=patient.id)
    row = Appointment.objects.filter(id=id).first()
    if row is None:
        if base is not None:
            raise IdTaken("There is no such appointment to change.")
        row = Appointment(
            id=id, clinic=clinic, patient=patient, received_at=now, expanded_until_at=now, version=0, **content
        )
        _save(row, now=now, new=True)
        expand(row, now=now)
        return row, True
    if row.patient_id != patient.id or row.clinic_id != clinic.id:
        raise IdTaken("This id belongs to another appointment.")
    _check_base(row, base)
    if row.deleted_at is None and all(getattr(row, name) == value for name, value in content.items()):
        return row, False
    for name, value in content.items():
        setattr(row, name, value)
    row.deleted_at = None
    _save(row, now=now)
    expand(row, now=now)
    return row, False


def set_status(*, appointment: Appointment, status: AppointmentStatus, now: datetime) -> Appointment:
    """Confirms, asks to move, cancels or marks as missed; the same again changes nothing. Raises Ended."""
    counters.lock(patient_id=appointment.patient_id)
    appointment.refresh_from_db()
    if appointment.status == status:
        return appointment
    if AppointmentStatus(appointment.status) not in _MAY_BECOME.get(status, set()):
        raise Ended(f"This appointment is {appointment.status}; make a new one.")
    appointment.status = status
    _save(appointment, now=now)
    upcoming = appointment.occurrences.filter(starts_at__gt=now) if appointment.rrule else appointment.occurrences.all()
    upcoming.exclude(status__in=ENDED).update(status=status)
    if status in ENDED:
        _silence(appointment.occurrences.all(), now=now)
    return appointment


def delete(*, appointment: Appointment, now: datetime, base: int | None = None) -> Appointment:
    """Leaves a tombstone and ends its reminders. Raises Stale, Deleted."""
    counters.lock(patient_id=appointment.patient_id)
    appointment.refresh_from_db()
    _check_base(appointment, base)
    if appointment.deleted_at is not None:
        raise Deleted(appointment)
    appointment.deleted_at = now
    _save(appointment, now=now)
    _silence(appointment.occurrences.all(), now=now)
    return appointment


def expand(appointment: Appointment, *, now: datetime) -> None:
    """Makes the occurrences of the next 90 days agree with the appointment, by set difference; the past stays."""
    horizon = max(now, appointment.starts_at if appointment.rrule is None else now) + HORIZON
    wanted = _instants(
        starts_at=appointment.starts_at,
        zone=appointment.time_zone,
        rrule=appointment.rrule,
        exdates=appointment.exdates,
        until=horizon,
    )
    existing = {o.original_starts_at: o for o in appointment.occurrences.all()}
    surplus = [o for at, o in existing.items() if at not in wanted and (o.starts_at > now or appointment.rrule is None)]
    _silence(surplus, now=now)
    Occurrence.objects.filter(id__in=[o.id for o in surplus]).delete()
    made = Occurrence.objects.bulk_create(
        Occurrence(
            id=uuid.uuid5(appointment.id, at.isoformat()),
            appointment=appointment,
            patient_id=appointment.patient_id,
            original_starts_at=at,
            starts_at=at,
            status=appointment.status if appointment.status not in ENDED else AppointmentStatus.PLANNED,
        )
        for at in sorted(wanted - existing.keys())
    )
    appointment.expanded_until_at = horizon
    appointment.save(update_fields=["expanded_until_at"])
    kept = [o for at, o in existing.items() if at in wanted and o.starts_at > now]
    if appointment.status in ENDED:
        return
    for occurrence in [*kept, *made]:
        if occurrence.status not in ENDED:
            _remind(appointment, occurrence, now=now)


def expand_all(*, now: datetime) -> int:
    """Expands each recurring appointment whose occurrences run out within 60 days; how many there were."""
    with access.acting_as(None, None, "expand appointments"):
        running_out = Appointment.objects.filter(
            rrule__isnull=False, deleted_at__isnull=True, expanded_until_at__lt=now + HORIZON - timedelta(days=30)
        ).exclude(status__in=ENDED)
        found = list(running_out.values_list("id", "patient_id", "clinic_id"))
    for appointment_id, patient_id, clinic_id in found:
        with access.acting_as(patient_id, clinic_id, "expand appointments"):
            expand(Appointment.objects.select_related("patient").get(id=appointment_id), now=now)
    return len(found)


def _remind(appointment: Appointment, occurrence: Occurrence, *, now: datetime) -> None:
    planning.set_anchor(
        person=appointment.patient,
        purpose=Purpose.APPOINTMENT,
        about=("appointment_occurrence", occurrence.id),
        anchor_at=occurrence.starts_at,
        offsets=REMIND_BEFORE,
        clinic_id=appointment.clinic_id,
        now=now,
    )


def _silence(occurrences: Iterable[Occurrence], *, now: datetime) -> None:
    for occurrence in occurrences:
        planning.end(about=("appointment_occurrence", occurrence.id), reason="appointment_cancelled", now=now)


def _instants(
    *, starts_at: datetime, zone: str, rrule: str | None, exdates: Sequence[datetime], until: datetime
) -> set[datetime]:
    if rrule is None:
        return {starts_at}
    place = clock.zone(zone)
    found = recurrence.between(
        recurrence.parse(rrule),
        start=walltime.wall(starts_at, place).replace(microsecond=0),
        zone=place,
        since=starts_at,
        until=until,
    )
    # iCalendar: the start is the first occurrence, whether the rule names it or not.
    return {starts_at, *found} - set(exdates)


def _check_base(row: Appointment, base: int | None) -> None:
    if base is not None and base != row.version:
        raise Stale(row)
    if base is None and row.deleted_at is not None:
        raise Deleted(row)


def _save(row: Appointment, *, now: datetime, new: bool = False) -> None:
    row.version += 1
    row.updated_at = now
    row.change_number = counters.next_numbers(patient_id=row.patient_id)
    if new:
        row.save(force_insert=True)
        return
    row.save(
        update_fields=[
            "kind", "starts_at", "time_zone", "minutes", "with_person", "rrule", "exdates", "place", "link", "note",
            "status", "version", "updated_at", "change_number", "deleted_at",
        ]
    )  # fmt: skip


def _works_at(person_id: uuid.UUID, clinic: Clinic) -> bool:
    return Membership.objects.filter(
        person_id=person_id, clinic=clinic, role__in=CLINICIANS, ended_at__isnull=True
    ).exists()
