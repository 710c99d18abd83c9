"""The calendar file of a mail that announces an event: RFC 5545, in UTC, with nothing clinical in it."""

import uuid
from datetime import UTC, datetime

from icalendar import Calendar, Event

from backend.reminders.channels.base import Attachment

FILE_NAME = "appointment.ics"
_METHOD = "PUBLISH"


def file_of(*, id: uuid.UUID, changes: int, starts_at: datetime, summary: str, now: datetime) -> Attachment:
    """One event without an end, which this room does not know.

    Calendars know it by `id` (RFC 7986: a UUID and nothing else) and take the file with the most `changes` for the
    newest, so an event that moved moves there too.
    """
    event = Event()
    event.add("uid", str(id))
    event.add("dtstamp", now.astimezone(UTC).replace(microsecond=0))
    event.add("dtstart", starts_at.astimezone(UTC).replace(microsecond=0))
    event.add("sequence", changes)
    event.add("summary", summary)
    event.add("class", "PRIVATE")
    calendar = Calendar()
    calendar.add("prodid", "-//Afterglow//Reminders//EN")
    calendar.add("version", "2.0")
    calendar.add("method", _METHOD)
    calendar.add_component(event)
    return Attachment(
        name=FILE_NAME,
        subtype="calendar",
        text=calendar.to_ical().decode(),
        parameters={"method": _METHOD, "name": FILE_NAME},
    )
