"""Delivers: leases, commits `sending`, hands over, and commits the outcome with the next one's `sending`."""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby

import structlog
from django.db import connections

from backend.accounts import access, consents
from backend.accounts.models import Clinic, Device, Person
from backend.reminders import addresses, channels, leases, letters, notices, outcomes, passing
from backend.reminders.addresses import Dead
from backend.reminders.channels.base import Channel, Fate, Outcome, Parcel, Send, Unreachable
from backend.reminders.codes import Purpose, ReminderClass
from backend.reminders.leases import Leased, Started
from backend.reminders.models import BlockedAddress
from backend.reminders.outcomes import Result

log = structlog.get_logger(__name__)

AT_ONCE = 200
_AWAY_FOR = timedelta(seconds=30)
_BY_URGENCY = (ReminderClass.SAFETY, ReminderClass.CARE, ReminderClass.HABIT)
_NO_WAIT: Mapping[ReminderClass, timedelta] = {}


class _Shift:
    """How long one call works: the given now, moved on by the time that has elapsed since; clinics are read once."""

    def __init__(self, now: datetime, seconds: float) -> None:
        self.clinics: dict[uuid.UUID, Clinic | None] = {}
        self._now, self._began, self._seconds = now, time.monotonic(), seconds

    @property
    def now(self) -> datetime:
        return self._now + timedelta(seconds=time.monotonic() - self._began)

    @property
    def over(self) -> bool:
        return time.monotonic() - self._began > self._seconds


def deliver(*, now: datetime, waited: Mapping[ReminderClass, timedelta] = _NO_WAIT, seconds: float = 30.0) -> int:
    """Sends what is pending until nothing is left or the time is over, safety first; the number handed over.

    With `waited` only what nobody has leased for so long: that is how the sweep stands in for workers.
    """
    shift, handed = _Shift(now, seconds), 0
    while not shift.over:
        token = uuid.uuid4()
        for reminder_class in _BY_URGENCY:
            before = shift.now - waited.get(reminder_class, timedelta())
            leased = leases.lease(
                reminder_class=reminder_class, most=AT_ONCE, token=token, before=before, now=shift.now
            )
            if leased:
                break
        else:
            return handed
        for name, group in groupby(sorted(leased, key=lambda each: each.channel), key=lambda each: each.channel):
            handed += _through(channels.OUTWARD[name], reminder_class, list(group), token, shift)
    return handed


def _through(
    channel: Channel, reminder_class: ReminderClass, leased: Sequence[Leased], token: uuid.UUID, shift: _Shift
) -> int:
    """Hands over through one channel; what it does not come to goes back, whatever happens."""
    waiting = {each.id: each for each in leased}
    handed, wait, away = 0, _AWAY_FOR, ""
    try:
        with channels.opened(channel, now=shift.now, urgent=reminder_class == ReminderClass.SAFETY) as send:
            results: list[Result] = []
            while waiting and not shift.over:
                chunk = [waiting.pop(id) for id in list(waiting)[: channel.at_once]]
                started = _turn(results, chunk, token, shift)
                results = []
                by_id = {each.id: each for each in chunk}
                for each in started:
                    results.append((by_id[each.id], each, _hand_over(channel, send, each, token, shift)))
                handed += len(results)
            _turn(results, [], token, shift)
        wait = timedelta()
    except Unreachable as error:
        away, wait = str(error), error.wait or wait
        log.warning("channel away", channel=channel.name, error=away, waiting=len(waiting))
    finally:
        if waiting:
            leases.release(ids=waiting, token=token, try_at=shift.now + wait, now=shift.now, error=away)
    if away:
        passing.pass_on(channel=channel.name, now=shift.now)
    return handed


def _turn(results: Sequence[Result], chunk: Sequence[Leased], token: uuid.UUID, shift: _Shift) -> list[Started]:
    """One commit: the outcomes of the last hand-over and the `sending` of the next."""
    if not results and not chunk:
        return []
    with access.dispatching("deliver"), connections["dispatch"].cursor() as cursor:
        outcomes.finish(cursor, results=results, token=token, now=shift.now)
        started = leases.start(cursor, ids=[each.id for each in chunk], token=token, now=shift.now) if chunk else []
    # After the commit, since it works in each person's own context: what of their addresses is dead.
    addresses.let_go(_dead(results), now=shift.now)
    return started


def _dead(results: Sequence[Result]) -> Iterator[Dead]:
    for leased, started, outcome in results:
        if outcome.dead is not None:
            matter = started.matter
            yield Dead(matter.person_id, matter.clinic_id, leased.channel, outcome.dead, outcome.detail)


def _hand_over(channel: Channel, send: Send, started: Started, token: uuid.UUID, shift: _Shift) -> Outcome:
    try:
        parcel = _pack(channel, started, shift)
    except Exception as error:  # one letter that cannot be written must not stop the others
        log.exception("letter cannot be written", delivery=str(started.id))
        return Outcome(Fate.LATER, type(error).__name__)
    if parcel is None:
        return Outcome(Fate.REFUSED, "no address or no consent")
    try:
        return send(parcel)
    except Unreachable as error:
        leases.release(
            ids=[started.id],
            token=token,
            try_at=shift.now + _AWAY_FOR,
            now=shift.now,
            error=str(error),
            held=["sending"],
        )
        raise
    except Exception as error:  # a channel answers UNKNOWN once it handed over, so nothing was; the others go on
        log.exception("channel failed", channel=channel.name, delivery=str(started.id))
        return Outcome(Fate.LATER, type(error).__name__)


def _pack(channel: Channel, started: Started, shift: _Shift) -> Parcel | None:
    """Reads the content in the person's own context; the dispatcher sees none of it."""
    matter = started.matter
    with access.acting_as(matter.person_id, matter.clinic_id, "deliver a reminder"):
        person = Person.objects.get(id=matter.person_id)
        # Asked again at the hand-over: what was planned before a withdrawal, or before new words bind, stays here.
        wanted = channel.name in consents.channels_of(
            person, clinic_id=matter.clinic_id, purpose=matter.purpose, now=shift.now
        )
        if matter.clinic_id and matter.clinic_id not in shift.clinics:
            shift.clinics[matter.clinic_id] = Clinic.objects.filter(id=matter.clinic_id).first()
        devices = list(Device.objects.filter(person=person, push__isnull=False))
        blocked = set(BlockedAddress.objects.filter(person=person).values_list("fingerprint", flat=True))
    address = channel.address_of(person, devices, blocked) if person.is_active and wanted else None
    if address is None:
        return None
    clinic = shift.clinics[matter.clinic_id] if matter.clinic_id else None
    words = notices if channel.is_brief else letters
    letter = words.compose(matter=matter, person=person, clinic=clinic, now=shift.now)
    return Parcel(
        key=started.id,
        address=address,
        letter=letter,
        person_id=matter.person_id,
        reminder_id=matter.reminder_id,
        reminder_class=Purpose(matter.purpose).facts.reminder_class,
        until_at=matter.expires_at,
        now=shift.now,
    )
