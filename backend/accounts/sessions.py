"""Sessions in the database, each with its person; a token is the key of one."""

import uuid
from datetime import datetime
from typing import Any

import orjson
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends import db
from django.db import connection
from django.db.models import JSONField
from django.utils.crypto import constant_time_compare

from backend.accounts.models import Person, Session, by_clinic

_FIELDS = Person._meta.concrete_fields
_PERSON = tuple(field.attname for field in _FIELDS)
# One statement for all that a request must know of who asks: session, person, roles.
_IDENTITY = (
    "SELECT s.session_data, (SELECT coalesce(json_agg(json_build_array(m.clinic_id, m.role) "  # noqa: S608
    "ORDER BY m.since_at, m.id), '[]')::text FROM accounts_membership m "
    "WHERE m.person_id = p.id AND m.ended_at IS NULL), "
    f"{', '.join(f'p.{name}' for name in _PERSON)} "
    "FROM accounts_session s JOIN accounts_person p ON p.id = s.person_id "
    "WHERE s.session_key = %s AND s.expire_date > %s AND p.deactivated_at IS NULL"
)


class SessionStore(db.SessionStore):
    """Django's database sessions, in our own table."""

    @classmethod
    def get_model_class(cls) -> type[Session]:
        """Our table."""
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        """A row that knows its person."""
        row = super().create_model_instance(data)
        assert isinstance(row, Session)  # noqa: S101 - the model named above
        row.person_id = data.get(SESSION_KEY)
        return row


def identify(*, token: str, now: datetime) -> tuple[Person, SessionStore] | None:
    """Who holds this token: the person with roles, and the session. None when unknown, expired or half signed in."""
    # A key has 32 letters and digits; anything else is not worth a query and may not even be text to the database.
    if not (token.isascii() and token.isalnum() and len(token) <= 64):
        return None
    with connection.cursor() as cursor:
        cursor.execute(_IDENTITY, [token, now])
        found = cursor.fetchone()
    if found is None:
        return None
    store = SessionStore(token)
    data = store.decode(found[0])
    person = Person.from_db(
        "default", _PERSON, [_loaded(field, value) for field, value in zip(_FIELDS, found[2:], strict=True)]
    )
    if data.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS or not _password_stands(person, data):
        return None
    person.__dict__["open_roles"] = by_clinic((uuid.UUID(clinic), role) for clinic, role in orjson.loads(found[1]))
    store._session_cache = data  # type: ignore[attr-defined] # as SessionBase itself keeps what it loaded
    return person, store


def _loaded(field: Any, value: Any) -> Any:
    """The value as the model has it; the database gives JSON as text."""
    return orjson.loads(value) if isinstance(field, JSONField) else value


def _password_stands(person: Person, data: dict[str, Any]) -> bool:
    """Whether the session was made with the password that the person has now."""
    given = data.get(HASH_SESSION_KEY, "")
    hashes = (person.get_session_auth_hash(), *person.get_session_auth_fallback_hash())
    return any(constant_time_compare(given, known) for known in hashes)
