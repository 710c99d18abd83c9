"""A reminder in one line, for lock screens and text messages: what, when, from whom; as plain as a mail's subject."""

from datetime import datetime

from backend.accounts.models import Clinic, Person
from backend.common import clock
from backend.reminders import walltime
from backend.reminders.channels.base import Letter
from backend.reminders.codes import Purpose
from backend.reminders.letters import Matter, what

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def compose(*, matter: Matter, person: Person, clinic: Clinic | None, now: datetime) -> Letter:
    """Its subject is a title, its text one line, in the person's zone. Asks no database."""
    purpose = Purpose(matter.purpose)
    event = matter.anchor_at if purpose.facts.announces else None
    zone = clock.zone(person.time_zone)
    local, here = walltime.wall(event or matter.due_at, zone), walltime.wall(now, zone)
    day = f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]}, "
    sender = clinic.short_name if clinic else "Afterglow"
    detailed = person.detailed_messages_at is not None and person.detailed_messages_at <= now
    return Letter(
        subject=what(purpose, detailed),
        text=f"{day if event or local.date() != here.date() else ''}{local:%H:%M}, {sender}",
    )
