"""Tokens that a push carries: by one of them the notification's action acknowledges this reminder, from this device.

DOMAIN.md, 'Safety alerts': acknowledged only by someone signed in 'or by the notification's action with the device's
token'. A token holds three ids and a signature, nothing else; it is worth nothing once its device takes no pushes.
"""

import base64
import uuid
from dataclasses import dataclass

from django.core.signing import BadSignature, Signer

_SALT = "backend.reminders.answer"
_BYTES = 16


class Invalid(ValueError):
    """This is no token of ours."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a token says."""

    person_id: uuid.UUID
    reminder_id: uuid.UUID
    device_id: uuid.UUID


def issue(*, person_id: uuid.UUID, reminder_id: uuid.UUID, device_id: uuid.UUID) -> str:
    """About 110 characters."""
    ids = person_id.bytes + reminder_id.bytes + device_id.bytes
    return Signer(salt=_SALT).sign(base64.urlsafe_b64encode(ids).decode())


def read(token: str) -> Held:
    """What it says. Raises Invalid."""
    try:
        ids = base64.urlsafe_b64decode(Signer(salt=_SALT).unsign(token))
        person, reminder, device = (uuid.UUID(bytes=ids[at : at + _BYTES]) for at in range(0, 3 * _BYTES, _BYTES))
    except (BadSignature, ValueError):
        raise Invalid("no token of ours") from None
    return Held(person, reminder, device)
