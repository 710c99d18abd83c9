"""What a channel is: it takes letters to addresses and says honestly what became of each."""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from functools import cached_property
from typing import Any, Protocol

from django.utils.crypto import salted_hmac

from backend.accounts.models import Device, Person
from backend.reminders.codes import ReminderClass


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a mail: `text/<subtype>` with these parameters of its type."""

    name: str
    subtype: str
    text: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Letter:
    """What is said, in the form that each channel can carry. Nothing in it is clinical.

    `headers` and `attachments` are a mail's.
    """

    subject: str
    text: str
    html: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    attachments: Sequence[Attachment] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A phone or browser that takes pushes: its device's id, and `push` as accounts.Device keeps it."""

    device_id: uuid.UUID
    push: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Address:
    """Where something goes: a line (a mailbox, a number in E.164), or all the devices that take pushes."""

    line: str = ""
    devices: tuple[Target, ...] = ()


def fingerprint(channel: str, line: str) -> str:
    """By which an address that takes nothing any more is known, without keeping it."""
    return salted_hmac(f"backend.reminders.address {channel}", line.lower(), algorithm="sha256").hexdigest()


@dataclass(frozen=True)
class Parcel:
    """A letter on its way; `key` is the delivery's id, by which a provider can recognise a repetition.

    It leaves `now` and makes sense until `until_at`. The letter is written when the channel asks for it.
    """

    key: uuid.UUID
    address: Address
    compose: Callable[[], Letter]
    person_id: uuid.UUID
    reminder_id: uuid.UUID
    reminder_class: ReminderClass
    until_at: datetime
    now: datetime

    @cached_property
    def letter(self) -> Letter:
        """What it says."""
        return self.compose()


class Fate(Enum):
    """What became of a parcel."""

    SENT = "sent"
    LATER = "later"  # refused for now, and certainly not taken
    REFUSED = "refused"  # this address never
    UNKNOWN = "unknown"  # handed over, but the answer was lost


@dataclass(frozen=True, slots=True)
class Outcome:
    """The fate and, for staff and logs, the provider's word without any personal data.

    `wait`, of LATER: so long the provider asks to wait. `dead` is the part of the address that will never take anything
    again, whatever the fate: one phone of three may be gone. `is_broken`: the provider says that it is itself at fault.
    """

    fate: Fate
    detail: str = ""
    wait: timedelta | None = None
    dead: Address | None = None
    is_broken: bool = False


class Unreachable(Exception):
    """The provider cannot be reached at all; nothing was handed over. `wait`: not before so long is it asked again."""

    def __init__(self, detail: str, wait: timedelta | None = None) -> None:
        super().__init__(detail)
        self.wait = wait


# Asks no database. Once something was handed over it answers, if need be UNKNOWN; it raises only while nothing was.
Send = Callable[[Parcel], Outcome]


class Channel(Protocol):
    """A way to a person."""

    name: str

    @property
    def is_brief(self) -> bool:
        """Whether it carries a title and one line, and no letter."""
        ...

    @property
    def at_once(self) -> int:
        """How many parcels may be in hand between two commits: more than one only where the key is honoured."""
        ...

    @property
    def threads(self) -> int:
        """How many parcels are on their way side by side; with more than one, in threads of their own."""
        ...

    @property
    def honours_key(self) -> bool:
        """Whether a parcel that is sent twice with one key arrives once."""
        ...

    def is_set_up(self) -> bool:
        """Whether this installation has the channel at all; one that is not is passed over."""
        ...

    def address_of(self, person: Person, devices: Sequence[Device], blocked: Collection[str]) -> Address | None:
        """Where the person is reached, or None. `devices` are theirs, `blocked` fingerprints. Asks no database."""
        ...

    def open(self, *, now: datetime, urgent: bool = False) -> AbstractContextManager[Send]:
        """A connection for some parcels. Raises Unreachable; one that is `urgent` is tried whatever happened before."""
        ...
