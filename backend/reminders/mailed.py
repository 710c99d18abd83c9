"""What a person does by a link in a mail: looks at where the reminder stands, answers it, or wants no more such mails.

Looking changes nothing. The link is the proof; whoever calls enters the context of the person whom `find` names.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from backend.accounts import access
from backend.accounts.models import Clinic, Person
from backend.common import clock
from backend.reminders import answers, leaving, letters, links, receipts, walltime
from backend.reminders.codes import Channel, Purpose, ReminderClass, Status
from backend.reminders.links import Act, WrongLink
from backend.reminders.models import Reminder

_EVENING, _MORNING = 19, 9
_AN_HOUR = timedelta(hours=1)


class Stand(StrEnum):
    """Where it stands with what the link is for."""

    OPEN = "open"
    SEEN = "seen"
    DONE = "done"
    WAITS = "waits"
    ENDED = "ended"
    WANTED = "wanted"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Found:
    """A link's reminder, and whose it is."""

    act: Act
    reminder_id: uuid.UUID
    person_id: uuid.UUID
    clinic_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class Later:
    """An instant to which it can be put off, and how that is said where the person is."""

    until: datetime
    words: str


@dataclass(frozen=True, slots=True)
class View:
    """What the page shows."""

    stand: Stand
    subject: str
    time_zone: str
    laters: list[Later] = field(default_factory=list)
    waits_until: str = ""
    is_only_way: bool = False


def find(token: str, *, now: datetime) -> Found:
    """Reads the token and looks up whose reminder it is. Raises links.WrongLink, links.LinkIsOver."""
    link = links.read(token, now=now)
    with access.dispatching("find a link's reminder"):
        rows = Reminder.objects.using("dispatch").filter(id=link.reminder_id)
        row = rows.values_list("person_id", "clinic_id", "reminder_class").first()
    if row is None or row[2] == ReminderClass.SAFETY:  # no mail about safety ever had a link
        raise WrongLink("Its reminder is not there any more.")
    return Found(link.act, link.reminder_id, row[0], row[1])


def look(found: Found, *, now: datetime) -> View:
    """Where it stands. Raises WrongLink when the person has gone."""
    row, person = _read(found)
    purpose = Purpose(row.purpose)
    clinic = Clinic.objects.filter(id=found.clinic_id).first() if found.clinic_id else None
    at = row.rule.anchor_at if purpose.facts.announces and row.rule.anchor_at else row.due_at
    subject = letters.subject(purpose=purpose, at=at, person=person, clinic=clinic)
    if found.act is Act.STOP:
        left = leaving.is_left(person=person, purpose=purpose, channel=Channel.EMAIL)
        others = [name for name in person.channels if name != Channel.EMAIL]
        return View(Stand.LEFT if left else Stand.WANTED, subject, person.time_zone, is_only_way=not others)
    stand = _stand(row, now)
    open_still = found.act is Act.LATER and stand in {Stand.OPEN, Stand.WAITS}
    return View(
        stand,
        subject,
        person.time_zone,
        laters=_laters(row, person, now) if open_still else [],
        waits_until=_said(row.send_at, person, now) if stand is Stand.WAITS and row.send_at else "",
    )


def acknowledge(found: Found, *, now: datetime) -> None:
    """The person saw it. Raises WrongLink, answers.Ended."""
    _, person = _read(found)
    answers.acknowledge(reminder_id=found.reminder_id, person=person, now=now)
    receipts.opened(reminder_id=found.reminder_id, channel=Channel.EMAIL, now=now)


def put_off(found: Found, *, until: datetime, now: datetime) -> None:
    """It comes again then. Raises WrongLink, answers.Ended, answers.CannotWait, answers.NotYet."""
    _, person = _read(found)
    answers.snooze(reminder_id=found.reminder_id, person=person, until=until, now=now)
    receipts.opened(reminder_id=found.reminder_id, channel=Channel.EMAIL, now=now)


def stop(found: Found, *, every: bool, now: datetime) -> list[str]:
    """No more mails of the reminder's purpose, or with `every` of none; the purposes for which that is a change."""
    row, person = _read(found)
    purposes = leaving.SPARED if every else [row.purpose]
    return leaving.leave_channel(person_id=person.id, purposes=purposes, channel=Channel.EMAIL, now=now)


def resume(found: Found, *, purposes: Collection[str], now: datetime) -> list[str]:
    """Takes a `stop` back: mails of these purposes again, without any named those of the reminder's."""
    row, person = _read(found)
    wanted = purposes or [row.purpose]
    return leaving.take_up_channel(person_id=person.id, purposes=wanted, channel=Channel.EMAIL, now=now)


def _read(found: Found) -> tuple[Reminder, Person]:
    row = Reminder.objects.select_related("rule").filter(id=found.reminder_id, person_id=found.person_id).first()
    person = Person.objects.filter(id=found.person_id).first()
    if row is None or person is None or not person.is_active:
        raise WrongLink("Whose link it was, is not here any more.")
    return row, person


def _stand(row: Reminder, now: datetime) -> Stand:
    if row.status == Status.ACKNOWLEDGED:
        return Stand.SEEN
    if row.status == Status.DONE:
        return Stand.DONE
    if row.status in {Status.SKIPPED, Status.EXPIRED} or row.expires_at <= now:
        return Stand.ENDED
    return Stand.WAITS if row.status == Status.SNOOZED else Stand.OPEN


def _laters(row: Reminder, person: Person, now: datetime) -> list[Later]:
    """In an hour, this evening, tomorrow morning: as far as each is possible, not in the person's quiet hours, and
    before the next of its series comes by itself."""
    zone = clock.zone(person.time_zone)
    today = walltime.wall(now, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    evening = walltime.instant(today.replace(hour=_EVENING), zone)
    in_an_hour = (now + _AN_HOUR).astimezone(UTC).replace(second=0, microsecond=0)
    wanted = [("In an hour", in_an_hour)]
    if evening - now > _AN_HOUR:
        wanted.append(("This evening", evening))
    wanted.append(("Tomorrow", walltime.instant(today.replace(hour=_MORNING) + timedelta(days=1), zone)))
    next_at = _next_of_series(row)
    return [
        Later(until, f"{name}, at {walltime.wall(until, zone):%H:%M}")
        for name, until in wanted
        if (next_at is None or until < next_at)
        and not (row.status == Status.SNOOZED and row.send_at == until)
        and answers.can_wait(until=until, row=row, rule=row.rule, person=person, now=now)
        and not walltime.quiet_span(until, quiet_from=person.quiet_from, quiet_until=person.quiet_until, zone=zone)
    ]


def _next_of_series(row: Reminder) -> datetime | None:
    if row.rule.rrule is None:
        return None
    following = row.rule.reminders.filter(status=Status.PLANNED, due_at__gt=row.due_at)
    return following.order_by("due_at").values_list("due_at", flat=True).first()


def _said(at: datetime, person: Person, now: datetime) -> str:
    zone = clock.zone(person.time_zone)
    local, here = walltime.wall(at, zone), walltime.wall(now, zone)
    return f"at {local:%H:%M}" if local.date() == here.date() else f"on {local:%A} at {local:%H:%M}"
