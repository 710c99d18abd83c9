"""The ways to a person. The inbox is the ledger itself: a claimed reminder is in it; the others are modules here."""

from collections.abc import Iterable

from backend.reminders.channels.base import Channel
from backend.reminders.channels.email import Email
from backend.reminders.channels.push import Push
from backend.reminders.channels.sms import Sms

_ALL: tuple[Channel, ...] = (Push(), Email(), Sms())
OUTWARD: dict[str, Channel] = {channel.name: channel for channel in _ALL}


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
