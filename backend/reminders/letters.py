"""The words of a reminder, for lock screens and mailboxes: the time and the clinic's short name, nothing clinical."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.template.loader import render_to_string

from backend.accounts.models import Clinic, Person
from backend.common import clock
from backend.reminders import calendars, links, walltime
from backend.reminders.channels.base import Attachment, Letter
from backend.reminders.codes import Purpose, ReminderClass
from backend.reminders.links import Act

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_HEADLINES = {
    Purpose.ALERT: "An alert waits for you",
    Purpose.DAY_CHECK: "A short look at how it goes?",
    Purpose.QUESTIONNAIRE: "A few questions are waiting for you",
    Purpose.CHECK_IN: "A moment for your note of the day?",
    Purpose.TARGET: "A reminder from your plan",
    Purpose.OWN: "A reminder that you set for yourself",
    Purpose.ADDRESS: "An address of yours takes no messages any more",
    Purpose.SILENCE: "A patient has not answered for some days",
}
# What subject and calendar say to a person who chose messages that say what they are about.
_DETAILED = {
    Purpose.SESSION: "Treatment session",
    Purpose.DAY_CHECK: "Check after your session",
    Purpose.QUESTIONNAIRE: "Questionnaire",
    Purpose.CHECK_IN: "Daily check-in",
    Purpose.TARGET: "From your plan",
    Purpose.OWN: "Your own reminder",
}
# To those who work at the clinic: what is to be done is done after signing in.
_FOR_STAFF = frozenset({Purpose.ALERT, Purpose.SILENCE})
# Who wants no more such mails may say so long after the reminder is over (ours; laws on advertising ask for 30 days).
_STOP_FOR = timedelta(days=60)
# An event so near leaves no room for being reminded later.
_TOO_NEAR = timedelta(minutes=70)


class Matter(NamedTuple):
    """What a letter is made of; `rule_id` is what calendars know the event by, `changes` grows when it moves."""

    reminder_id: uuid.UUID
    person_id: uuid.UUID
    clinic_id: uuid.UUID | None
    purpose: str
    due_at: datetime
    expires_at: datetime
    anchor_at: datetime | None
    rule_id: uuid.UUID
    changes: int

    @property
    def event_at(self) -> datetime | None:
        """When the event that it announces begins; None where it announces none."""
        return self.anchor_at if Purpose(self.purpose).facts.announces else None


def compose(*, matter: Matter, person: Person, clinic: Clinic | None, now: datetime) -> Letter:
    """The letter, in the person's zone. Asks no database."""
    purpose, event_at = Purpose(matter.purpose), matter.event_at
    detailed = person.detailed_messages_at is not None and person.detailed_messages_at <= now
    sender = _sender(clinic)
    ways = _ways(matter, now)
    words = {
        **_times(matter, person, now),
        "sender": sender,
        "what": what(purpose, detailed),
        "headline": _HEADLINES.get(purpose, ""),
        "purpose": purpose.value,
        "is_event": event_at is not None,
        "for_staff": purpose in _FOR_STAFF,
        "clinic_phone": clinic.phone if clinic else "",
        "sign_in": f"{settings.BASE_URL}/",
        **ways,
    }
    attachments: tuple[Attachment, ...] = ()
    if event_at is not None:
        summary = f"{what(purpose, detailed)} ({sender})"
        attachments = (
            calendars.file_of(id=matter.rule_id, changes=matter.changes, starts_at=event_at, summary=summary, now=now),
        )
    return Letter(
        subject=subject(purpose=purpose, at=event_at or matter.due_at, person=person, clinic=clinic, detailed=detailed),
        text=render_to_string("reminders/mail.txt", words),
        html=render_to_string("reminders/mail.html", words),
        headers=_headers(purpose, ways),
        attachments=attachments,
    )


def subject(*, purpose: Purpose, at: datetime, person: Person, clinic: Clinic | None, detailed: bool = False) -> str:
    """What it is, when, and from whom, in the person's zone: of an event its start, else when it is due."""
    local = walltime.wall(at, clock.zone(person.time_zone))
    day = f"{_DAYS[local.weekday()][:3]} {local.day} {_MONTHS[local.month - 1][:3]}"
    at_what_time = f"{day}, {local:%H:%M}" if purpose.facts.announces else f"{local:%H:%M}"
    return f"{what(purpose, detailed)}, {at_what_time} ({_sender(clinic)})"


def what(purpose: Purpose, detailed: bool) -> str:
    """What it is, in two or three words; without `detailed` nothing of what stands behind it."""
    if purpose.facts.reminder_class == ReminderClass.SAFETY:  # must not be taken for one of many reminders
        return "Alert, please sign in"
    if detailed and purpose in _DETAILED:
        return _DETAILED[purpose]
    return "Appointment" if purpose.facts.announces else "A reminder"


def _sender(clinic: Clinic | None) -> str:
    return clinic.short_name if clinic else "Afterglow"


def _times(matter: Matter, person: Person, now: datetime) -> dict[str, Any]:
    zone = clock.zone(person.time_zone)
    local, here = walltime.wall(matter.event_at or matter.due_at, zone), walltime.wall(now, zone)
    until = walltime.wall(matter.expires_at, zone)
    return {
        "clock": f"{local:%H:%M}",
        "day": f"{_DAYS[local.weekday()]}, {local.day} {_MONTHS[local.month - 1]}",
        "today": local.date() == here.date(),
        "zone": person.time_zone,
        "until": f"{until:%H:%M}" if until.date() == here.date() else f"{_DAYS[until.weekday()]}, {until:%H:%M}",
    }


def _ways(matter: Matter, now: datetime) -> dict[str, str]:
    """The links. An alert has none: only who signs in acknowledges it, and nobody puts it off or is spared it."""
    if Purpose(matter.purpose).facts.reminder_class == ReminderClass.SAFETY:
        return {}
    ends = {Act.SEEN: matter.expires_at, Act.STOP: matter.expires_at + _STOP_FOR}
    if matter.event_at is None or matter.event_at - now > _TOO_NEAR:
        ends[Act.LATER] = matter.expires_at
    return {
        act.value: links.address_of(act=act, reminder_id=matter.reminder_id, ends_at=end) for act, end in ends.items()
    }


def _headers(purpose: Purpose, ways: Mapping[str, str]) -> dict[str, str]:
    """RFC 8058: the mailbox's own button unsubscribes by one POST, without a page."""
    found = {}
    if Act.STOP in ways:
        found = {
            "List-Unsubscribe": f"<{ways[Act.STOP]}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
    if purpose.facts.reminder_class == ReminderClass.SAFETY:
        found["Importance"] = "high"
    return found
