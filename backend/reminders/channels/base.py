"""What a channel is: it takes letters to addresses and says honestly what became of each."""

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from backend.accounts.models import Person


@dataclass(frozen=True, slots=True)
class Letter:
    """What is said, in the form that each channel can carry. Nothing in it is clinical."""

    subject: str
    text: str
    html: str = ""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A letter on its way; `key` is the delivery's id, by which a provider can recognise a repetition."""

    key: uuid.UUID
    address: str
    letter: Letter


class Fate(Enum):
    """What became of a parcel."""

    SENT = "sent"
    LATER = "later"  # refused for now, and certainly not taken
    REFUSED = "refused"  # this address never
    UNKNOWN = "unknown"  # handed over, but the answer was lost


@dataclass(frozen=True, slots=True)
class Outcome:
    """The fate and, for staff and logs, the provider's word without any personal data."""

    fate: Fate
    detail: str = ""


class Unreachable(Exception):
    """The provider cannot be reached at all; nothing was handed over."""


# Once something was handed over it answers, if need be UNKNOWN; it raises only while nothing was.
Send = Callable[[Parcel], Outcome]


class Channel(Protocol):
    """A way to a person."""

    name: str
    # How many parcels may be in hand between two commits: more than one only where the provider honours the key.
    at_once: int
    honours_key: bool

    def address_of(self, person: Person) -> str | None:
        """Where the person is reached, or None."""
        ...

    def open(self) -> AbstractContextManager[Send]:
        """A connection for some parcels. Raises Unreachable."""
        ...
