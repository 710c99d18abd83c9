"""Links in mails: signed, each for one act about one reminder, open for a while only. Nothing personal is in them."""

import base64
import binascii
import struct
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from django.conf import settings
from django.core import signing

# The reminder's id, and the second from which on the link is over.
_HELD = struct.Struct(">16sI")


class Act(StrEnum):
    """What a link is for."""

    SEEN = "seen"
    LATER = "later"
    STOP = "stop"


class WrongLink(ValueError):
    """It was not made here, or not for this."""


class LinkIsOver(ValueError):
    """It was a link of ours; its time has passed."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a token says."""

    act: Act
    reminder_id: uuid.UUID


def address_of(*, act: Act, reminder_id: uuid.UUID, ends_at: datetime) -> str:
    """The address that stands in a mail. Whoever opens it sees a page; only that page's button changes anything."""
    return f"{settings.BASE_URL}/r/{token_of(act=act, reminder_id=reminder_id, ends_at=ends_at)}"


def token_of(*, act: Act, reminder_id: uuid.UUID, ends_at: datetime) -> str:
    """The link's proof, about 75 characters that need no escaping."""
    held = base64.urlsafe_b64encode(_HELD.pack(reminder_id.bytes, int(ends_at.timestamp()))).decode().rstrip("=")
    return _signer(act).sign(f"{act}.{held}")


def read(token: str, *, now: datetime) -> Link:
    """What the token says. Raises WrongLink, LinkIsOver."""
    try:
        act = Act(token.partition(".")[0])
        held = _signer(act).unsign(token).partition(".")[2]
        id, end = _HELD.unpack(base64.urlsafe_b64decode(held + "=" * (-len(held) % 4)))
    except (ValueError, signing.BadSignature, binascii.Error, struct.error):
        raise WrongLink("This is no link of ours.") from None
    if now >= datetime.fromtimestamp(end, UTC):
        raise LinkIsOver(str(act))
    return Link(act, uuid.UUID(bytes=id))


def _signer(act: Act) -> signing.Signer:
    """One salt for each act: what was signed for one proves nothing for another."""
    return signing.Signer(sep=".", salt=f"backend.reminders.links {act}")
