"""Where the deliveries in hand go and in which words, read for a whole batch by one question to the owner.

The dispatcher's own role sees no persons. The function answers only for deliveries that are in hand under the token
that the asker shows, and nothing that anybody wrote about a patient is in the answer.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson

from backend.accounts import consents
from backend.accounts.models import Clinic, Device, Person
from backend.reminders import batches, channels

_CONTENTS = "SELECT * FROM reminders_contents(%(ids)s, %(token)s, %(now)s, %(channels)s, %(versions)s)"
# As the function answers them, after the delivery's id: what a letter needs of its person, then of its clinic.
_PERSON = ("id", "email", "time_zone", "locale", "country", "phone", "phone_confirmed_at", "detailed_messages_at",
           "deactivated_at", "channels", "reminder_choices")  # fmt: skip
_CLINIC = ("id", "short_name", "phone", "country", "time_zone")
_CLINIC_AT = 1 + len(_PERSON)
_REST_AT = _CLINIC_AT + len(_CLINIC)


@dataclass(frozen=True, slots=True)
class Content:
    """A delivery's person, as far as a letter needs it, and whether the person agrees to its channel now."""

    person: Person
    devices: Sequence[Device]
    blocked: frozenset[str]
    clinic: Clinic | None
    agreed: bool


def read(cursor: Any, *, ids: Sequence[uuid.UUID], token: uuid.UUID, now: datetime) -> dict[uuid.UUID, Content]:
    """The contents of deliveries in hand, by their ids."""
    asked = {
        "ids": list(ids),
        "token": token,
        "now": now,
        "channels": list(channels.OUTWARD),
        "versions": [consents.binding_version(name, now=now) for name in channels.OUTWARD],
    }
    return {row[0]: _content(row) for row in batches.rows(cursor, _CONTENTS, asked)}


def _content(row: tuple[Any, ...]) -> Content:
    devices, blocked, agreed = row[_REST_AT:]
    # Without the constructor, which would fill in all that was not asked for, and costs more than the rest together.
    person = Person.__new__(Person)
    facts = vars(person)
    facts.update(zip(_PERSON, row[1:_CLINIC_AT], strict=True))
    facts["channels"], facts["reminder_choices"] = _read(facts["channels"]), _read(facts["reminder_choices"])
    theirs = [Device(**each | {"id": uuid.UUID(each["id"])}) for each in orjson.loads(devices)] if devices else []
    return Content(person, theirs, frozenset(blocked), _clinic(*row[_CLINIC_AT:_REST_AT]), agreed)


# Few clinics and few ways to choose: what was read once is known by its text, and to be read only.
@lru_cache(maxsize=1_000)
def _clinic(*facts: Any) -> Clinic | None:
    return Clinic(**dict(zip(_CLINIC, facts, strict=True))) if facts[0] else None


@lru_cache(maxsize=1_000)
def _read(text: str) -> Any:
    return orjson.loads(text)
