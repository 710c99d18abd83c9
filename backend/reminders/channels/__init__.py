"""The ways to a person. The inbox is the ledger itself: a claimed reminder is in it; the others are modules here."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache

from backend.reminders.channels import breakers
from backend.reminders.channels.base import Channel, Fate, Outcome, Parcel, Send, Unreachable
from backend.reminders.channels.email import Email
from backend.reminders.channels.push import Push
from backend.reminders.channels.sms import Sms

_ALL: tuple[Channel, ...] = (Push(), Email(), Sms())
OUTWARD: dict[str, Channel] = {channel.name: channel for channel in _ALL}


@lru_cache(maxsize=1_000)
def read(text: str) -> list[str]:
    """The channels of a rule, as its column has them in JSON; to be read only."""
    found: list[str] = json.loads(text)
    return found


def first(wanted: Iterable[str]) -> str | None:
    """The first channel of a person's list that there is."""
    return next(iter(known(wanted)), None)


def after(name: str, wanted: Iterable[str]) -> str | None:
    """The channel that follows when this one failed for good; also of one that the person has left meanwhile."""
    there = [each for each in dict.fromkeys(wanted) if each == name or each in known(wanted)]
    if name not in there:
        order = list(OUTWARD)
        return next((each for each in there if order.index(each) > order.index(name)), None)
    return next(iter(there[there.index(name) + 1 :]), None)


def known(wanted: Iterable[str]) -> list[str]:
    """The channels of a person's list that this installation has, in their order."""
    return [name for name in dict.fromkeys(wanted) if name in OUTWARD and OUTWARD[name].is_set_up()]


@contextmanager
def opened(channel: Channel, *, now: datetime, urgent: bool) -> Iterator[Send]:
    """The channel's connection behind its breaker, which what is `urgent` does not heed. Raises Unreachable.

    A push has a provider for each host, and a breaker for each of them inside.
    """
    breaker = breakers.of(channel.name)
    if not urgent and (wait := breaker.wait(now)) is not None:
        raise Unreachable("left alone for a while", wait)
    try:
        with channel.open(now=now, urgent=urgent) as send:

            def watched(parcel: Parcel) -> Outcome:
                outcome = send(parcel)
                if outcome.fate is Fate.UNKNOWN or outcome.is_broken:
                    breaker.failed(parcel.now)
                elif outcome.fate is not Fate.LATER:
                    breaker.worked()
                return outcome

            yield watched
    except Unreachable:
        breaker.failed(now)
        raise
