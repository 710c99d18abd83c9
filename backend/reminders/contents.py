"""Where the deliveries in hand go and in which words, read for a whole batch by one question to the owner.

The dispatcher's own role sees no persons. The function answers only for deliveries that are in hand under the token
that the asker shows, and nothing that anybody wrote about a patient is in the answer.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from backend.accounts import consents
from backend.accounts.models import Clinic, Device, Person
from backend.reminders import batches, channels

_CONTENTS = "SELECT * FROM reminders_contents(%(ids)s, %(token)s, %(now)s, %(channels)s, %(versions)s)"
_INSTANTS = ("phone_confirmed_at", "detailed_messages_at", "deactivated_at")


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
    clinics: dict[str, Clinic] = {}
    return {id: _content(clinics, *rest) for id, *rest in batches.rows(cursor, _CONTENTS, asked)}


def _content(
    clinics: dict[str, Clinic], person: str, devices: str | None, blocked: list[str], clinic: str | None, agreed: bool
) -> Content:
    facts = _facts(person)
    for name in _INSTANTS:
        facts[name] = datetime.fromisoformat(facts[name]) if facts[name] else None
    if clinic and clinic not in clinics:
        clinics[clinic] = Clinic(**_facts(clinic))
    theirs = [Device(**each | {"id": uuid.UUID(each["id"])}) for each in orjson.loads(devices or "[]")]
    # Without the constructor, which would fill in all that was not asked for, and costs more than the rest together.
    them = Person.__new__(Person)
    vars(them).update(facts)
    return Content(them, theirs, frozenset(blocked), clinics[clinic] if clinic else None, agreed)


def _facts(text: str) -> dict[str, Any]:
    facts: dict[str, Any] = orjson.loads(text)
    return facts | {"id": uuid.UUID(facts["id"])}
