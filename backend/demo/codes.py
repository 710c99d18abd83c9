"""The second factors of the demo's staff: keys that everybody may know, and the codes that an app would show."""

import base64
import hashlib
from datetime import datetime

from backend.accounts import sealed, second_factor
from backend.accounts.models import Person
from backend.demo import cast


class NobodyHere(ValueError):
    """The demo has no such member of the staff."""


def secret_of(key: str) -> str:
    """The key of this person's authenticator app, base32; the same on every computer, so it protects nothing."""
    return base64.b32encode(hashlib.sha1(f"{cast.SEED}/totp/{key}".encode(), usedforsecurity=False).digest()).decode()


def code_of(key: str, *, now: datetime) -> str:
    """The code that the app shows now. Raises NobodyHere."""
    if key not in {worker.key for worker in cast.WORKERS}:
        names = ", ".join(worker.key for worker in cast.WORKERS)
        raise NobodyHere(f"Nobody on the demo's staff is called {key!r}; there are {names}.")
    return second_factor.code_at(secret=secret_of(key), now=now)


def enrol(person: Person, key: str) -> None:
    """The person's app has the demo's key again, whatever was set up meanwhile; codes that were used stay used."""
    row = second_factor.app_of(person)
    if row is not None:
        try:
            if second_factor.Adapter().decrypt(row.data["secret"]) == secret_of(key):
                return
        except sealed.Unsealable:
            pass  # sealed by an earlier SECRET_KEY
    second_factor.forget_all(person_id=person.pk)
    second_factor.enrol_app(person=person, secret=secret_of(key), step=0)
    second_factor.keep_recovery_codes(person)
