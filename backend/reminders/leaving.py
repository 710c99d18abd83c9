"""Leaves a channel for some purposes, and takes it up again; what is to come is planned anew. Twice is once."""

import uuid
from collections.abc import Collection
from datetime import datetime

from backend.accounts import consents
from backend.accounts.models import Person
from backend.reminders import planning
from backend.reminders.codes import Purpose, ReminderClass

# What can be left: an alert goes out on every channel that a person has.
SPARED = tuple(purpose for purpose in Purpose if purpose.facts.reminder_class != ReminderClass.SAFETY)


def is_left(*, person: Person, purpose: str, channel: str) -> bool:
    """Whether no message of this purpose comes through the channel because the person does not want it there."""
    return channel not in _chosen(person, purpose)


def leave_channel(*, person_id: uuid.UUID, purposes: Collection[str], channel: str, now: datetime) -> list[str]:
    """Nothing of these purposes comes through the channel any more; for which of them that is a change."""
    person = _locked(person_id)
    left = [p for p in SPARED if p in purposes and channel in _chosen(person, p)]
    for purpose in left:
        _choose(person, purpose, [name for name in _chosen(person, purpose) if name != channel])
    _save(person, changed=bool(left), now=now)
    return [str(purpose) for purpose in left]


def take_up_channel(*, person_id: uuid.UUID, purposes: Collection[str], channel: str, now: datetime) -> list[str]:
    """These purposes use the channel again, at its place in the person's order; for which of them that is a change."""
    person = _locked(person_id)
    taken = [p for p in SPARED if p in purposes and channel not in _chosen(person, p)]
    for purpose in taken:
        chosen = [*_chosen(person, purpose), channel]
        known = [name for name in person.channels if name in chosen]
        _choose(person, purpose, known + [name for name in chosen if name not in known])
    _save(person, changed=bool(taken), now=now)
    return [str(purpose) for purpose in taken]


def _locked(person_id: uuid.UUID) -> Person:
    """As the profile's door does it: of two changes at once the second plans with what the first has written."""
    return Person.objects.select_for_update(no_key=True).get(id=person_id)


def _chosen(person: Person, purpose: str) -> list[str]:
    return list(consents.chosen_channels(person, purpose))


def _choose(person: Person, purpose: str, channels: list[str]) -> None:
    choice = {**person.reminder_choices.get(purpose, {}), "channels": channels}
    if channels == person.channels:
        del choice["channels"]
    rest = {name: value for name, value in person.reminder_choices.items() if name != purpose}
    person.reminder_choices = {**rest, purpose: choice} if choice else rest


def _save(person: Person, *, changed: bool, now: datetime) -> None:
    if changed:
        person.save(update_fields=["reminder_choices"])
        planning.replan(person, now=now)
