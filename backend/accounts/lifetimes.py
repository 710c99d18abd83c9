"""How long a sign-in lasts: until nobody has used it for too long, and for staff until the working day is over."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings

# Where a session keeps what we know of its sign-in: when it began, of whom, on which device, how it was proved.
FACTS = "afterglow"
# A session that is on its way to a sign-in: a password that was right, a code that was mailed.
BEFORE = timedelta(hours=1)


def facts_of(data: Any) -> Mapping[str, Any]:
    """What the session (or its data) knows of the sign-in; nothing while there was none."""
    found = data.get(FACTS)
    return found if isinstance(found, dict) else {}


def began_at(data: Any) -> datetime | None:
    """When the person signed in."""
    began = facts_of(data).get("began")
    return None if began is None else datetime.fromtimestamp(began, UTC)


def until(data: Any, *, now: datetime, staff: bool | None = None) -> datetime | None:
    """When the session ends if nobody uses it after `now`; None when that is not ours to say (see `tokens.issue`).

    `staff` says what the person is by now; without it, what the person was at sign-in counts.
    """
    began = began_at(data)
    if began is None:
        return None
    if facts_of(data).get("staff") if staff is None else staff:
        return min(began + _age("STAFF_SESSION_AGE"), now + _age("STAFF_IDLE_AGE"))
    return now + _age("PATIENT_IDLE_AGE")


def _age(name: str) -> timedelta:
    age: timedelta = getattr(settings, name)
    return age


def cookie_until(data: Any, *, now: datetime) -> datetime | None:
    """Until when a browser keeps the cookie; the database's own end comes before."""
    began = began_at(data)
    if began is None:
        return None
    return began + _age("STAFF_SESSION_AGE") if facts_of(data).get("staff") else now + _age("PATIENT_IDLE_AGE")
