"""The ways to a person. The inbox is the ledger itself: a claimed reminder is in it; the others are modules here."""

from collections.abc import Iterable

from backend.reminders.channels.base import Channel
from backend.reminders.channels.email import Email

OUTWARD: dict[str, Channel] = {channel.name: channel for channel in (Email(),)}


def first(wanted: Iterable[str]) -> str | None:
    """The first channel of a person's list that there is."""
    return next((name for name in wanted if name in OUTWARD), None)


def after(name: str, wanted: Iterable[str]) -> str | None:
    """The channel that follows when this one failed for good."""
    known = [each for each in wanted if each in OUTWARD]
    return next(iter(known[known.index(name) + 1 :]), None) if name in known else None
