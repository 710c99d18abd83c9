"""That a sign-in is in use: written down at most once a minute, and not for what a page asks by itself."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

from backend.accounts import lifetimes, second_factor, sessions
from backend.accounts.models import Person

APART = timedelta(minutes=1)


def is_poll(request: HttpRequest | Request) -> bool:
    """Whether no person did this: a live page that looks for changes, an app in the background."""
    return request.path in settings.POLLS or request.headers.get("X-Background", "") == "true"


def note(*, request: HttpRequest | Request, session: Any, person: Person, now: datetime) -> None:
    """Moves the end of the sign-in, whose person has just done something. Outside of any transaction."""
    seen_at = getattr(session, "seen_at", None)
    if is_poll(request) or session.session_key is None or (seen_at is not None and now - seen_at < APART):
        return
    facts = lifetimes.facts_of(session)
    sessions.touch(
        token=session.session_key,
        until=lifetimes.until(session, now=now, staff=second_factor.is_required(person)),
        device=facts.get("device"),
        now=now,
        apart=APART,
    )
