"""Sessions in the database, each with its person; a token is the key of one.

Before anyone is identified the database shows no row, so what stands here asks functions of the database that answer
for one token only (accounts' migrations 0005 and 0011).
"""

import uuid
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.db import connection
from django.db.models import JSONField
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare
from rest_framework.request import Request

from backend.accounts import lifetimes
from backend.accounts.models import Person, Session, by_clinic
from backend.common import clock

_FIELDS = Person._meta.concrete_fields
_PERSON = tuple(field.attname for field in _FIELDS)
# One statement for all that a request must know of who asks: session, person, roles.
_IDENTITY = (
    f"SELECT data, roles, seen_at, {', '.join(f'(person).{name}' for name in _PERSON)} "  # noqa: S608
    "FROM accounts_identify(%s, %s)"
)


class SessionStore(db.SessionStore):
    """Django's database sessions, in our own table, reached by one key at a time."""

    seen_at: datetime | None = None  # when it was last used, to the minute; None until it was read

    @classmethod
    def get_model_class(cls) -> type[Session]:
        """Our table."""
        return Session

    def load(self) -> dict[str, Any]:
        """The session's data; nothing, and no key any more, when it is unknown or over."""
        found = _ask("SELECT data, seen_at FROM accounts_session_read(%s, %s)", self.session_key, clock.now())
        if found is None:
            self._session_key = None
            return {}
        self.seen_at = found[1]
        return dict(self.decode(found[0]))

    def exists(self, session_key: str) -> bool:
        """Whether there is such a session."""
        return bool(_ask("SELECT accounts_session_exists(%s)", session_key)[0])

    def save(self, must_create: bool = False) -> None:
        """Writes the session with its person. Raises CreateError when it should be new and is not, else UpdateError."""
        if self.session_key is None:
            return self.create()
        data = self._get_session(no_load=must_create)  # type: ignore[attr-defined]
        written = _ask(
            "SELECT accounts_session_write(%s, %s, %s, %s, %s, %s)",
            self._get_or_create_session_key(),  # type: ignore[attr-defined]
            self.encode(data),
            self.get_expiry_date(),
            data.get(SESSION_KEY),
            must_create,
            clock.now(),
        )
        if not written[0]:
            raise CreateError if must_create else UpdateError
        return None

    def delete(self, session_key: str | None = None) -> None:
        """Ends the session."""
        if key := session_key or self.session_key:
            _ask("SELECT accounts_session_delete(%s)", key)

    def get_expiry_date(self, **given: Any) -> datetime:
        """When the database forgets the session: by the rules for those who are signed in, else soon."""
        data = self._get_session()  # type: ignore[attr-defined]
        if SESSION_KEY not in data:
            return clock.now() + lifetimes.BEFORE
        return lifetimes.until(data, now=clock.now()) or super().get_expiry_date(**given)

    def get_expiry_age(self, **given: Any) -> int:
        """For how many seconds a browser keeps the cookie."""
        data, now = self._get_session(), clock.now()  # type: ignore[attr-defined]
        if SESSION_KEY not in data:
            return int(lifetimes.BEFORE.total_seconds())
        end = lifetimes.cookie_until(data, now=now)
        return max(0, int((end - now).total_seconds())) if end else super().get_expiry_age(**given)

    def get_session_cookie_age(self) -> int:
        """What a session lasts of which nothing is known."""
        return int(lifetimes.BEFORE.total_seconds())

    @classmethod
    def clear_expired(cls) -> None:
        """Removes what is over."""
        _ask("SELECT accounts_session_expire(%s)", clock.now())


def token_of(request: HttpRequest | Request) -> str | None:
    """The session token of `Authorization: Bearer …`, or of allauth's own header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("X-Session-Token")


def identify(*, token: str, now: datetime) -> tuple[Person, SessionStore] | None:
    """Who holds this token: the person with roles, and the session. None when unknown, expired or half signed in."""
    # A key has 32 letters and digits; anything else is not worth a query and may not even be text to the database.
    if not (token.isascii() and token.isalnum() and len(token) <= 64):
        return None
    found = _ask(_IDENTITY, token, now)
    if found is None:
        return None
    store = SessionStore(token)
    data = store.decode(found[0])
    person = Person.from_db(
        "default", _PERSON, [_loaded(field, value) for field, value in zip(_FIELDS, found[3:], strict=True)]
    )
    if data.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS or not _password_stands(person, data):
        return None
    person.__dict__["open_roles"] = by_clinic((uuid.UUID(clinic), role) for clinic, role in orjson.loads(found[1]))
    store._session_cache = data  # type: ignore[attr-defined] # as SessionBase itself keeps what it loaded
    store.seen_at = found[2]
    return person, store


def is_over(*, token: str, now: datetime) -> bool:
    """Whether the token was right and its time has passed; what was ended on purpose is unknown."""
    return token.isascii() and token.isalnum() and bool(_ask("SELECT accounts_session_is_over(%s, %s)", token, now)[0])


def touch(*, token: str, until: datetime | None, device: str | None, now: datetime, apart: timedelta) -> None:
    """The session was used: writes it down with its new end, unless that was done less than `apart` ago."""
    _ask("SELECT accounts_session_touch(%s, %s, %s, %s, %s)", token, now, until, device, now - apart)


def _ask(statement: str, *values: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()


def _loaded(field: Any, value: Any) -> Any:
    """The value as the model has it; the database gives JSON as text."""
    return orjson.loads(value) if isinstance(field, JSONField) else value


def _password_stands(person: Person, data: dict[str, Any]) -> bool:
    """Whether the session was made with the password that the person has now."""
    given = data.get(HASH_SESSION_KEY, "")
    hashes = (person.get_session_auth_hash(), *person.get_session_auth_fallback_hash())
    return any(constant_time_compare(given, known) for known in hashes)
