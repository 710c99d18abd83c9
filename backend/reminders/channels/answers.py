"""What a provider said about one message to one address, in words that the channels share."""

import email.utils
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

import requests

# A provider may not put a reminder off for longer than this by one answer; ours.
LONGEST_WAIT = timedelta(hours=6)


class Kind(Enum):
    """Taken; come again; this message not; this address never again; handed over, but nothing was heard."""

    TAKEN = "taken"
    LATER = "later"
    REFUSED = "refused"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """`detail` holds no personal data; `wait` is how long the provider asks to wait."""

    kind: Kind
    detail: str = ""
    wait: timedelta | None = None


def retry_after(answer: requests.Response, *, now: datetime) -> timedelta | None:
    """The header Retry-After, in seconds or as a date (RFC 9110, 10.2.3); None where there is none that can be read."""
    value = answer.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(timedelta(seconds=int(value[:9])), LONGEST_WAIT)
    try:
        at = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if at.tzinfo is None:
        return None
    return min(max(at - now, timedelta()), LONGEST_WAIT)
