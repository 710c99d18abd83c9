"""The times at which appointments happen, as rows: a single one has one, a series those of the next 90 days."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

import structlog

from backend.accounts import access, counters
from backend.aftercare.models import Appointment, AppointmentStatus, Occurrence
from backend.common import clock
from backend.reminders import ledger, planning, recurrence, walltime
from backend.reminders.models import Purpose, Reason, Rule

HORIZON = timedelta(days=90)
# Beat's task looks for those that run out well before they do.
_RUNNING_OUT = timedelta(days=60)
# Bounds of ours: they hold the work of one request small, and no clinic needs more.
MOST_AHEAD = 120
_LOOK_BACK = timedelta(days=1)
# DOMAIN.md and API.md: the same wall time on the day before in the patient's zone, and two hours elapsed.
REMIND_BEFORE = (planning.DAY_BEFORE, planning.TWO_HOURS_BEFORE)
ENDED = frozenset({AppointmentStatus.CANCELLED, AppointmentStatus.HELD, AppointmentStatus.NO_SHOW})

_ABOUT = "appointment_occurrence"

log = structlog.get_logger(__name__)


def refuse(appointment: Appointment, *, now: datetime) -> None:
    """Raises recurrence.RuleError for a series that cannot be read, or that happens too often."""
    if appointment.rrule is None:
        return
    rule = recurrence.parse(appointment.rrule)
    if len(rule.by_hour or (0,)) * len(rule.by_minute or (0,)) > 1:
        raise recurrence.RuleError("An appointment may happen once a day: give one hour in BYHOUR, one in BYMINUTE.")
    try:
        ahead = _instants(appointment, since=now - _LOOK_BACK, until=now + HORIZON)
    except OverflowError:
        raise recurrence.RuleError("The rule holds a date that no calendar reaches.") from None
    if len(ahead) > MOST_AHEAD:
        raise recurrence.RuleError(f"A series may happen at most {MOST_AHEAD} times in {HORIZON.days} days.")


def expand(appointment: Appointment, *, now: datetime) -> None:
    """Makes the occurrences of the next 90 days agree with the appointment, by set difference; the past stays.

    What has not begun is reminded of. The caller holds the patient's counter.
    """
    single = appointment.rrule is None
    horizon = max(now, appointment.starts_at if single else now) + HORIZON
    existing = {o.original_starts_at: o for o in appointment.occurrences.all()}
    # A new series may have begun today; of one that is known, what has begun stands there.
    wanted = _instants(appointment, since=now if existing else now - _LOOK_BACK, until=horizon)
    made = [_occurrence(appointment, at) for at in sorted(wanted - existing.keys())]
    surplus = [o for at, o in existing.items() if at not in wanted and (single or o.starts_at > now)]
    _take_away(appointment, surplus, moved=bool(made), now=now)
    Occurrence.objects.bulk_create(made)
    if single and len(surplus) == len(made) == 1:  # it moved, and moves in calendars too instead of being there twice
        ledger.carry_over(about_type=_ABOUT, from_id=surplus[0].id, to_id=made[0].id)
    appointment.expanded_until_at = horizon
    appointment.save(update_fields=["expanded_until_at"])
    kept = [o for at, o in existing.items() if at in wanted]
    if single:  # it may have been a series, in which this occurrence was answered by itself
        appointment.occurrences.update(status=appointment.status)
    to_come = [o for o in (*kept, *made) if o.starts_at > now and (single or o.status not in ENDED)]
    reminded = _reminded_of(to_come)
    for occurrence in to_come:
        if occurrence.id not in reminded:
            _remind(appointment, occurrence, now=now)


def expand_all(*, now: datetime) -> int:
    """Expands each recurring appointment whose occurrences run out within 60 days; how many there were.

    Each in a transaction of its own; one that fails is told in the log and stops none of the others.
    """
    running_out = Appointment.objects.filter(
        rrule__isnull=False, deleted_at__isnull=True, expanded_until_at__lt=now + _RUNNING_OUT
    ).exclude(status__in=ENDED)
    found: list[tuple[uuid.UUID, uuid.UUID, uuid.UUID]] = []
    for clinic in access.clinics():
        with access.acting_as(None, clinic, "expand appointments"):
            found += running_out.order_by("expanded_until_at").values_list("id", "patient_id", "clinic_id")
    expanded = 0
    for id, patient_id, clinic_id in found:
        try:
            with access.acting_as(patient_id, clinic_id, "expand appointments"):
                counters.lock(patient_id=patient_id)
                # It may have been deleted, cancelled or changed since it was listed.
                if row := running_out.select_related("patient").filter(id=id).first():
                    expand(row, now=now)
                    expanded += 1
        except Exception:  # whatever is wrong with one appointment, the others go on
            log.exception("appointment cannot be expanded", appointment=str(id))
    return expanded


def silence(occurrences: Iterable[Occurrence], *, now: datetime, reason: str = Reason.APPOINTMENT_CANCELLED) -> None:
    """Ends their reminders; what began yesterday or before has none left."""
    for id in _reminded_of(o for o in occurrences if o.starts_at > now - _LOOK_BACK):
        planning.end(about=(_ABOUT, id), reason=reason, now=now)


def _take_away(appointment: Appointment, surplus: Sequence[Occurrence], *, moved: bool, now: datetime) -> None:
    for away in (True, False):
        those = [o for o in surplus if (moved and o.original_starts_at not in appointment.exdates) == away]
        silence(those, reason=Reason.APPOINTMENT_MOVED if away else Reason.APPOINTMENT_CANCELLED, now=now)
    Occurrence.objects.filter(id__in=[o.id for o in surplus]).delete()


def _occurrence(appointment: Appointment, at: datetime) -> Occurrence:
    return Occurrence(
        # The same instant has the same id, in whatever offset it was sent.
        id=uuid.uuid5(appointment.id, at.astimezone(UTC).isoformat()),
        appointment=appointment,
        patient_id=appointment.patient_id,
        original_starts_at=at,
        starts_at=at,
        status=appointment.status if appointment.rrule is None else AppointmentStatus.PLANNED,
    )


def _reminded_of(occurrences: Iterable[Occurrence]) -> set[uuid.UUID]:
    """The ids of those whose reminders are planned: one query for any number of them."""
    open_rules = Rule.objects.filter(about_type=_ABOUT, about_id__in=[o.id for o in occurrences], ended_at__isnull=True)
    return {id for id in open_rules.values_list("about_id", flat=True) if id is not None}


def _remind(appointment: Appointment, occurrence: Occurrence, *, now: datetime) -> None:
    planning.set_anchor(
        person=appointment.patient,
        purpose=Purpose.APPOINTMENT,
        about=(_ABOUT, occurrence.id),
        anchor_at=occurrence.starts_at,
        offsets=REMIND_BEFORE,
        clinic_id=appointment.clinic_id,
        now=now,
    )


def _instants(appointment: Appointment, *, since: datetime, until: datetime) -> set[datetime]:
    """When it happens: a single one at its start, a series from `since` to `until`, one more than allowed at most."""
    if appointment.rrule is None:
        return {appointment.starts_at}
    place = clock.zone(appointment.time_zone)
    since = max(since, appointment.starts_at)
    series = recurrence.occurrences(
        recurrence.parse(appointment.rrule),
        start=walltime.wall(appointment.starts_at, place).replace(microsecond=0),
        zone=place,
        after=since - timedelta(microseconds=1),
    )
    found = set(islice(takewhile(lambda at: at < until, series), MOST_AHEAD + 1))
    # iCalendar: the start is the first occurrence, whether the rule names it or not.
    first = {appointment.starts_at} if appointment.starts_at >= since else set()
    return (first | found) - set(appointment.exdates)
