"""The words of a reminder, for lock screens and mailboxes: the time and the clinic's short name, nothing clinical."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.template.loader import render_to_string

from backend.accounts.models import Clinic, Person
from backend.common import clock
from backend.reminders import walltime
from backend.reminders.channels.base import Letter
from backend.reminders.codes import Purpose

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_QUESTIONS = {
    Purpose.CHECK_IN: "A moment for your note of the day?",
    Purpose.QUESTIONNAIRE: "A few questions are waiting for you.",
    Purpose.DAY_CHECK: "A short look at how it goes?",
    Purpose.OWN: "A reminder that you set for yourself.",
    Purpose.TARGET: "A reminder from your plan.",
}


@dataclass(frozen=True, slots=True)
class Matter:
    """What a letter is made of."""

    reminder_id: uuid.UUID
    person_id: uuid.UUID
    clinic_id: uuid.UUID | None
    purpose: str
    due_at: datetime
    expires_at: datetime
    anchor_at: datetime | None


def compose(*, matter: Matter, person: Person, clinic: Clinic | None, now: datetime) -> Letter:
    """The letter, in the person's zone."""
    zone = clock.zone(person.time_zone)
    event = matter.anchor_at if Purpose(matter.purpose).facts.announces else None
    local = walltime.wall(event or matter.due_at, zone)
    here = walltime.wall(now, zone)
    sender = clinic.short_name if clinic else "Afterglow"
    day = f"{_DAYS[local.weekday()]}, {local.day} {_MONTHS[local.month - 1]}"
    words = {
        "sender": sender,
        "clock": f"{local:%H:%M}",
        "day": day,
        "today": local.date() == here.date(),
        "zone": person.time_zone,
        "is_event": event is not None,
        "question": _QUESTIONS.get(Purpose(matter.purpose), "A reminder."),
        "until": f"{walltime.wall(matter.expires_at, zone):%H:%M}",
        "clinic_phone": clinic.phone if clinic else "",
    }
    short = f"{_DAYS[local.weekday()][:3]} {local.day} {_MONTHS[local.month - 1][:3]}"
    subject = f"Appointment, {short}, {local:%H:%M}" if event else f"A reminder, {local:%H:%M}"
    return Letter(
        subject=f"{subject} ({sender})",
        text=render_to_string("reminders/mail.txt", words),
        html=render_to_string("reminders/mail.html", words),
    )
