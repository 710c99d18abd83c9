"""Session tokens made by us and not by a sign-in form: for the demo clinic and for tests."""

from datetime import datetime, timedelta

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

from backend.accounts.lifetimes import FACTS
from backend.accounts.models import Person
from backend.accounts.sessions import SessionStore

BACKEND = "backend.accounts.sign_in.Backend"


def issue(*, person: Person, now: datetime, lifetime: timedelta) -> str:
    """A token that is fully signed in, as after the form; it dies with the password like any other."""
    session = SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = BACKEND
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    # allauth's own record of how the person signed in.
    session["account_authentication_methods"] = [{"method": "password", "at": now.timestamp(), "email": person.email}]
    session["account_authentication_methods_user"] = str(person.pk)
    # Proved, and without the limits of a sign-in: it ends when it was said to end.
    session[FACTS] = {"second_factor": True, "agent": "issued without a sign-in"}
    session.set_expiry(lifetime)
    session.create()
    return str(session.session_key)
