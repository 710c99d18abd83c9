"""Attempts to sign in, counted in the database: the limit stands while the cache is away, which allauth counts in."""

from datetime import datetime, timedelta

from django.db import connections
from django.utils.crypto import salted_hmac

from backend.accounts import access
from backend.accounts.models import SignInAttempt

ALLOWED = 5
WINDOW = timedelta(minutes=5)
_USING = "attempts"  # a connection of its own: counted at once, whatever becomes of the sign-in

# Rows that another sign-in removes at this moment are left to it: waiting for each other would be a deadlock.
_PRUNE = (
    "DELETE FROM accounts_signinattempt WHERE id IN "
    "(SELECT id FROM accounts_signinattempt WHERE tried_at <= %s FOR UPDATE SKIP LOCKED)"
)


class Locked(Exception):
    """There were too many attempts for this address; the next may be made within `WINDOW`."""


def begin(*, address: str, now: datetime) -> int:
    """Counts an attempt for this address, known or not, and returns its number.

    Raises Locked when `ALLOWED` were made within `WINDOW`; what was refused does not count.
    """
    key = _key(address)
    with access.acting_as(None, None, "sign-in", using=_USING):
        with connections[_USING].cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])
            cursor.execute(_PRUNE, [now - WINDOW])
        if SignInAttempt.objects.using(_USING).filter(key=key, tried_at__gt=now - WINDOW).count() >= ALLOWED:
            raise Locked
        return SignInAttempt.objects.using(_USING).create(key=key, tried_at=now).pk


def forgive(*, number: int) -> None:
    """The attempt was right: it does not count."""
    with access.acting_as(None, None, "sign-in", using=_USING):
        SignInAttempt.objects.using(_USING).filter(id=number).delete()


def forget(*, address: str) -> None:
    """Nothing counts any more for this address."""
    with access.acting_as(None, None, "sign-in", using=_USING):
        SignInAttempt.objects.using(_USING).filter(key=_key(address)).delete()


def _key(address: str) -> str:
    return salted_hmac("backend.accounts.attempts", address.lower(), algorithm="sha256").hexdigest()
