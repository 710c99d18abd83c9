"""Delivers: leases, commits `sending`, hands over, and commits the outcome with the next one's `sending`."""

import time
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import psycopg
import structlog
from django.db import DatabaseError

from backend.accounts import access, consents
from backend.reminders import addresses, batches, channels, leases, letters, notices, outcomes, passing, side_by_side
from backend.reminders.addresses import Dead
from backend.reminders.channels.base import Channel, Fate, Outcome, Parcel, Send, Unreachable
from backend.reminders.codes import BY_URGENCY, Purpose, ReminderClass
from backend.reminders.leases import Leased, Started
from backend.reminders.outcomes import Result

log = structlog.get_logger(__name__)

AT_ONCE = 500
_AWAY_FOR = timedelta(seconds=30)
_NO_WAIT: Mapping[ReminderClass, timedelta] = {}
# What is in hand between two commits was looked at that long ago at most, as far as the provider's pace allows.
_PACE_SECONDS = 0.2


class _Shift:
    """How long one call works: the given now, moved on by the time that has elapsed since, and each channel's pace."""

    def __init__(self, now: datetime, seconds: float) -> None:
        self._pace: dict[str, int] = {}
        self._now, self._began, self._seconds = now, time.monotonic(), seconds

    @property
    def now(self) -> datetime:
        return self._now + timedelta(seconds=time.monotonic() - self._began)

    @property
    def over(self) -> bool:
        return time.monotonic() - self._began > self._seconds

    def size(self, channel: Channel) -> int:
        """How many to lease: many of a channel that starts each by itself; else as many as leave within the pace."""
        return self._pace.get(channel.name, channel.at_once) if channel.honours_key else AT_ONCE

    def learn(self, channel: Channel, *, sent: int, seconds: float) -> None:
        """So many left in so many seconds."""
        if sent and channel.honours_key:
            fitting = int(sent * _PACE_SECONDS / max(seconds, 0.001))
            full = fitting - fitting % channel.threads  # no thread waits for the last one's answer with nothing in hand
            self._pace[channel.name] = max(channel.at_once, min(AT_ONCE, full))


def deliver(
    *,
    now: datetime,
    waited: Mapping[ReminderClass, timedelta] = _NO_WAIT,
    seconds: float = 30.0,
    classes: Sequence[ReminderClass] = BY_URGENCY,
) -> int:
    """Sends what is pending until nothing is left or the time is over, safety first; the number handed over.

    With `waited` only what nobody has leased for so long: that is how the sweep stands in for workers.
    """
    shift, handed = _Shift(now, seconds), 0
    while not shift.over:
        before = {each: shift.now - waited.get(each, timedelta()) for each in classes}
        lanes = leases.lanes(before=before)
        taken = 0
        for reminder_class, name in lanes:
            if reminder_class != lanes[0][0] or shift.over:
                break  # and look for urgent ones again
            hand = _through(channels.OUTWARD[name], reminder_class, before[reminder_class], shift)
            taken, handed = taken + hand.taken, handed + hand.handed
        if not taken:  # nothing is left, or others hold it
            break
    return handed


def _through(channel: Channel, reminder_class: ReminderClass, before: datetime, shift: _Shift) -> "_Hand":
    """Leases and hands over through one channel; what it does not come to goes back, whatever happens."""
    hand = _Hand(channel, shift)
    hand.lease(reminder_class, before)
    if not hand.taken:
        return hand
    wait, away = _AWAY_FOR, ""
    try:
        with channels.opened(channel, now=shift.now, urgent=reminder_class == ReminderClass.SAFETY) as send:
            hand.give(send)
        wait = timedelta()
    except Unreachable as error:
        away, wait = str(error), error.wait or wait
        log.warning("channel away", channel=channel.name, error=away, waiting=hand.left)
    except (DatabaseError, psycopg.Error):
        # A connection that was cut is made anew at once, and says nothing about the channel.
        wait = timedelta()
        raise
    finally:
        hand.settle(try_at=shift.now + wait, error=away)
    if away:
        passing.pass_on(channel=channel.name, now=shift.now)
    return hand


class _Hand:
    """What one lease has in hand: what is not begun, what is begun and not handed over, outcomes not written down."""

    def __init__(self, channel: Channel, shift: _Shift) -> None:
        self._channel, self._shift, self._token = channel, shift, uuid.uuid4()
        self._leased: dict[uuid.UUID, Leased] = {}
        self._waiting: list[uuid.UUID] = []
        self._begun: deque[Started] = deque()
        self._results: list[Result] = []
        self.handed = 0

    @property
    def taken(self) -> int:
        """How many were leased."""
        return len(self._leased)

    @property
    def left(self) -> int:
        """How many are not handed over."""
        return len(self._waiting) + len(self._begun)

    def lease(self, reminder_class: ReminderClass, before: datetime) -> None:
        """Takes deliveries; those whose provider honours a key are begun with it."""
        channel, shift = self._channel, self._shift
        leased, begun = leases.lease(
            reminder_class=reminder_class,
            channel=channel.name,
            most=shift.size(channel),
            token=self._token,
            before=before,
            now=shift.now,
        )
        self._leased, self._begun = {each.id: each for each in leased}, deque(begun)
        self._waiting = [] if channel.honours_key else list(self._leased)

    def give(self, send: Send) -> None:
        """Hands over what is begun, and begins what waits, until nothing is left or the shift is over."""
        began = time.monotonic()
        self._give_begun(send)
        self._shift.learn(self._channel, sent=self.handed, seconds=time.monotonic() - began)
        while self._waiting and not self._shift.over:
            at_once = self._channel.at_once
            chunk, self._waiting = self._waiting[:at_once], self._waiting[at_once:]
            self._begun = deque(self._turn(chunk))
            self._give_begun(send)

    def settle(self, *, try_at: datetime, error: str) -> None:
        """Writes the last outcomes down and gives the rest back, to be tried from `try_at` on."""
        try:
            self._turn([])
        finally:
            begun = [each.id for each in self._begun]
            for ids, held in ((self._waiting, "leased"), (begun, "sending")):
                if ids:
                    leases.release(
                        ids=ids, token=self._token, try_at=try_at, now=self._shift.now, error=error, held=[held]
                    )

    def _give_begun(self, send: Send) -> None:
        before = len(self._results)
        try:
            side_by_side.each(self._begun, lambda started: self._give_one(send, started), threads=self._channel.threads)
        finally:
            self.handed += len(self._results) - before

    def _give_one(self, send: Send, started: Started) -> None:
        leased = self._leased[started.id]
        self._results.append((leased, started, _hand_over(self._channel, send, leased, started, self._shift)))

    def _turn(self, chunk: Sequence[uuid.UUID]) -> list[Started]:
        """One commit: the outcomes of the last hand-over and the `sending` of the next."""
        if not self._results and not chunk:
            return []
        told = {leased.reminder_id for leased, _, _ in self._results}
        with access.dispatching("deliver"), batches.cursor() as cursor:
            leases.hold(cursor, told | {self._leased[id].reminder_id for id in chunk})
            outcomes.finish(cursor, results=self._results, token=self._token, now=self._shift.now)
            started = leases.start(cursor, ids=chunk, token=self._token, now=self._shift.now) if chunk else []
        # After the commit, since it works in each person's own context: what of their addresses is dead.
        addresses.let_go(_dead(self._results), now=self._shift.now)
        self._results = []
        return started


def _dead(results: Sequence[Result]) -> Iterator[Dead]:
    for leased, started, outcome in results:
        if outcome.dead is not None:
            matter = started.matter
            yield Dead(matter.person_id, matter.clinic_id, leased.channel, outcome.dead, outcome.detail)


def _hand_over(channel: Channel, send: Send, leased: Leased, started: Started, shift: _Shift) -> Outcome:
    try:
        parcel = _pack(channel, leased, started, shift)
    except Exception as error:  # one letter that cannot be written must not stop the others
        log.exception("letter cannot be written", delivery=str(started.id))
        return Outcome(Fate.LATER, type(error).__name__)
    if parcel is None:
        return Outcome(Fate.REFUSED, "no address or no consent")
    try:
        return send(parcel)
    except Unreachable:  # nothing was handed over, of this one neither
        raise
    except Exception as error:  # a channel answers UNKNOWN once it handed over, so nothing was; the others go on
        log.exception("channel failed", channel=channel.name, delivery=str(started.id))
        return Outcome(Fate.LATER, type(error).__name__)


def _pack(channel: Channel, leased: Leased, started: Started, shift: _Shift) -> Parcel | None:
    """The parcel, or None where the person is not reached so any more."""
    matter, content = started.matter, leased.content
    # Asked again: what was planned before a withdrawal, another choice, or before new words bind, stays here.
    if content is None or not content.agreed or not content.person.is_active or channel.name not in started.channels:
        return None
    if channel.name not in consents.chosen_channels(content.person, matter.purpose):
        return None
    address = channel.address_of(content.person, content.devices, content.blocked)
    if address is None:
        return None
    words = notices if channel.is_brief else letters
    return Parcel(
        key=started.id,
        address=address,
        compose=lambda: words.compose(matter=matter, person=content.person, clinic=content.clinic, now=shift.now),
        person_id=matter.person_id,
        reminder_id=matter.reminder_id,
        reminder_class=Purpose(matter.purpose).facts.reminder_class,
        until_at=matter.expires_at,
        now=shift.now,
    )
