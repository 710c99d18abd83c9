"""The people whom the demo shows around: addresses, the printed password, and a fresh token for each."""

from datetime import datetime, timedelta
from typing import Any

from backend.accounts import access, second_factor, tokens
from backend.accounts.models import Person, Session
from backend.demo import cast, codes
from backend.demo.cast import id_of

# The name in `.local/demo.json`, and the address before the @.
SHOWN = {
    "patient": "patient",
    "other_patient": "other.patient",
    "psychiatrist": "psychiatrist",
    "therapist": "therapist",
    "nurse": "nurse",
    "outsider": "outsider",
    "administrator": "administrator",
}
# Tokens of the demo begin so, that the next start finds and removes them; 23 random characters follow (119 bits).
PREFIX = "demotoken"
LIFETIME = timedelta(days=90)


class NotLoaded(Exception):
    """The demo's people are not in the database."""


def renew_tokens(*, now: datetime) -> dict[str, dict[str, Any]]:
    """A new token for each of them, fully signed in; the old ones end. Raises NotLoaded.

    Returns `{name: {"id", "email", "password", "token"}}`, the `people` of `.local/demo.json`, and the
    `totp_secret` of staff, whose second factor is the demo's own again.
    """
    with access.maintaining("demo tokens"):
        Session.objects.filter(session_key__startswith=PREFIX).delete()
        found = {}
        for name, key in SHOWN.items():
            person = Person.objects.filter(id=id_of("person", key)).first()
            if person is None:
                raise NotLoaded("The demo clinic is not loaded; run `python backend/manage.py demo_load`.")
            found[name] = {
                "id": str(person.id),
                "email": person.email,
                "password": cast.PASSWORD,
                "token": _sign_in(person, now),
            }
            if second_factor.is_required(person):
                codes.enrol(person, key)
                found[name]["totp_secret"] = codes.secret_of(key)
    return found


def _sign_in(person: Person, now: datetime) -> str:
    issued = tokens.issue(person=person, now=now, lifetime=LIFETIME)
    token = PREFIX + issued[len(PREFIX) :]
    Session.objects.filter(session_key=issued).update(session_key=token)
    return token
