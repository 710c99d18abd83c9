"""What is to come in the demo: visits of today and later, and the daily reminders, some of them within minutes.

Whoever starts the demo sees a reminder arrive: the demo patient is asked for a check-in and told of a therapist's visit
in the first minutes. The demo psychiatrist has no visit between one and four hours after the load.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from backend.accounts.models import Clinic, Person
from backend.aftercare import appointments
from backend.aftercare.models import AppointmentKind, MoodCheckIn
from backend.common import clock
from backend.demo.cast import Patient, id_of
from backend.reminders import planning
from backend.reminders.models import Purpose

DAILY = "FREQ=DAILY"
SOON = timedelta(seconds=75)  # the parts of a first start need some seconds to come up


@dataclass(frozen=True, kw_only=True)
class Visit:
    """An appointment `after` the load, to the minute, or to the half hour where it is not for show."""

    patient: str
    worker: str
    kind: AppointmentKind
    after: timedelta
    minutes: int = 50
    to_half_hour: bool = False
    rrule: str | None = None
    place: str = ""
    link: str = ""


TWO_HOURS, A_DAY = timedelta(hours=2), timedelta(days=1)
VISITS = (
    # Reminders two hours before, due in the first minutes.
    Visit(patient="patient", worker="therapist", kind=AppointmentKind.THERAPY, after=TWO_HOURS + SOON,
          rrule="FREQ=WEEKLY", place="Room 2, second floor"),
    Visit(patient="priya.nair", worker="therapist", kind=AppointmentKind.FOLLOW_UP,
          after=TWO_HOURS + SOON + timedelta(minutes=2), minutes=20, link="https://video.demo.afterglow.example/priya"),
    # A reminder on the day before, due in the first minutes.
    Visit(patient="arjun.mehta", worker="therapist", kind=AppointmentKind.THERAPY,
          after=A_DAY + SOON + timedelta(minutes=1), place="Room 2, second floor"),
    # The rest of today and of the weeks to come.
    Visit(patient="other.patient", worker="psychiatrist", kind=AppointmentKind.FOLLOW_UP, after=timedelta(hours=5),
          minutes=30, to_half_hour=True, place="Room 1, ground floor"),
    Visit(patient="tara.dsouza", worker="psychiatrist", kind=AppointmentKind.FOLLOW_UP, after=timedelta(hours=6),
          minutes=30, to_half_hour=True, link="https://video.demo.afterglow.example/tara"),
    Visit(patient="patient", worker="psychiatrist", kind=AppointmentKind.FOLLOW_UP, after=timedelta(days=9, hours=5),
          minutes=30, to_half_hour=True, place="Room 1, ground floor"),
    Visit(patient="vikram.kulkarni", worker="therapist", kind=AppointmentKind.THERAPY, after=timedelta(days=2, hours=5),
          to_half_hour=True, rrule="FREQ=WEEKLY;INTERVAL=2"),
    Visit(patient="zoya.merchant", worker="nurse", kind=AppointmentKind.FOLLOW_UP, after=timedelta(days=1, hours=6),
          minutes=20, to_half_hour=True),
    Visit(patient="daniel.okafor", worker="outsider", kind=AppointmentKind.FOLLOW_UP, after=timedelta(hours=6),
          minutes=30, to_half_hour=True),
    Visit(patient="callum.frith", worker="london.therapist", kind=AppointmentKind.THERAPY,
          after=timedelta(days=1, hours=5), to_half_hour=True, rrule="FREQ=WEEKLY"),
)  # fmt: skip


def put(*, patients: Sequence[Patient], now: datetime) -> dict[str, int]:
    """Makes all visits and daily reminders inside the caller's transaction; returns how many."""
    houses = {patient.key: patient.house for patient in patients}
    clinics = {
        clinic.id: clinic for clinic in Clinic.objects.filter(id__in={id_of("clinic", h) for h in houses.values()})
    }
    persons = Person.objects.in_bulk([id_of("person", patient.key) for patient in patients])
    for number, visit in enumerate(VISITS):
        appointments.put(
            id=id_of("visit", number),
            clinic=clinics[id_of("clinic", houses[visit.patient])],
            patient=persons[id_of("person", visit.patient)],
            kind=visit.kind,
            starts_at=_rounded_up(now + visit.after, minutes=30 if visit.to_half_hour else 1),
            minutes=visit.minutes,
            with_person=id_of("person", visit.worker),
            rrule=visit.rrule,
            place=visit.place,
            link=visit.link,
            now=now,
        )
    soon = 0
    for patient in patients:
        at = None
        if patient.says_nothing_today:
            at = now + SOON + timedelta(minutes=soon % 4)
            soon += 1
        _remind_daily(patient, persons[id_of("person", patient.key)], at=at, now=now)
    return {"appointments": len(VISITS), "daily reminders": len(patients)}


def _rounded_up(at: datetime, *, minutes: int) -> datetime:
    """The next whole minute, or half hour: a multiple of `minutes` past the hour in UTC."""
    past = timedelta(minutes=at.minute % minutes, seconds=at.second, microseconds=at.microsecond)
    return at + (timedelta(minutes=minutes) - past if past else timedelta())


def _remind_daily(patient: Patient, person: Person, *, at: datetime | None, now: datetime) -> None:
    """A check-in reminder at the patient's hour, or from the instant `at` on; not today when today is told already."""
    zone = clock.zone(person.time_zone)
    today = now.astimezone(zone).date()
    midnight = datetime.combine(today, time(), zone)
    if at is not None:
        start = _rounded_up(at, minutes=1).astimezone(zone).replace(tzinfo=None)
    elif MoodCheckIn.objects.filter(patient=person, felt_at__gte=midnight).exists():
        start = datetime.combine(today + timedelta(days=1), patient.profile.evening)
    else:
        start = datetime.combine(today, patient.profile.evening)
    planning.set_rule(
        id=id_of("daily", patient.key),
        person=person,
        purpose=Purpose.CHECK_IN,
        rrule=DAILY,
        start=start,
        clinic_id=id_of("clinic", patient.house),
        now=now,
    )
