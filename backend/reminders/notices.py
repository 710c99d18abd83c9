"""A reminder in one line, for lock screens and text messages: what, when, from whom; as plain as a mail's subject."""

from datetime import datetime
from functools import lru_cache

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
    detailed = person.detailed_messages_at is not None and person.detailed_messages_at <= now
    sender = clinic.short_name if clinic else "Afterglow"
    # A day begins with a whole minute everywhere, so all that leave within one share their words.
    minute = now.replace(second=0, microsecond=0)
    return _words(Purpose(matter.purpose), matter.due_at, matter.anchor_at, person.time_zone, sender, detailed, minute)


@lru_cache(maxsize=10_000)
def _words(
    purpose: Purpose,
    due_at: datetime,
    anchor_at: datetime | None,
    time_zone: str,
    sender: str,
    detailed: bool,
    now: datetime,
) -> Letter:
    event = anchor_at if purpose.facts.announces else None
    zone = clock.zone(time_zone)
    local, here = walltime.wall(event or due_at, zone), walltime.wall(now, zone)
    day = f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]}, "
    return Letter(
        subject=what(purpose, detailed),
        text=f"{day if event or local.date() != here.date() else ''}{local:%H:%M}, {sender}",
    )
