"""Attempts to prove who one is, counted in the database: the limit stands while the cache is away.

What is counted: passwords by the address that was entered, codes of the second factor by the person, requests for a new
password by the address, invitations by the address, codes for a phone's number by number and by code; and all of them
by the network that they come from.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from django.db import connections
from django.utils.crypto import salted_hmac

from backend.accounts import access
from backend.accounts.models import SignInAttempt
from backend.common import locks

ALLOWED = 5
# A clinic's people share one network; a guesser needs many more attempts than they do.
ALLOWED_FROM_A_NETWORK = 30
WINDOW = timedelta(minutes=5)
_USING = "attempts"  # a connection of its own: counted at once, whatever becomes of the sign-in

# Rows that another sign-in removes at this moment are left to it: waiting for each other would be a deadlock.
_PRUNE = (
    "DELETE FROM accounts_signinattempt WHERE id IN "
    "(SELECT id FROM accounts_signinattempt WHERE tried_at <= %s FOR UPDATE SKIP LOCKED)"
)


class Kind(StrEnum):
    """What is attempted."""

    PASSWORD = "password"  # noqa: S105 - the name of a kind
    CODE = "code"
    RESET = "reset"
    INVITATION = "invitation"
    PHONE = "phone"


class Locked(Exception):
    """There were too many attempts for this account or from this network; the next may be made within `WINDOW`."""


def begin(*, kind: Kind, who: str, network: str, now: datetime) -> tuple[int, ...]:
    """Counts an attempt at this account, known or not, and returns its numbers.

    Raises Locked when `ALLOWED` were made within `WINDOW`, or `ALLOWED_FROM_A_NETWORK` at whatever accounts; what was
    refused does not count.
    """
    limits = {_key(kind, who): ALLOWED, _key("network", network): ALLOWED_FROM_A_NETWORK}
    with access.acting_as(None, None, "sign-in", using=_USING):
        for key in sorted(limits):  # always in this order: two that share both keys do not wait for each other
            locks.take(key, using=_USING)
        with connections[_USING].cursor() as cursor:
            cursor.execute(_PRUNE, [now - WINDOW])
        recent = SignInAttempt.objects.using(_USING).filter(tried_at__gt=now - WINDOW)
        if any(recent.filter(key=key).count() >= allowed for key, allowed in limits.items()):
            raise Locked
        made = [SignInAttempt(key=key, tried_at=now) for key in limits]
        return tuple(row.pk for row in SignInAttempt.objects.using(_USING).bulk_create(made))


def forgive(*, numbers: tuple[int, ...]) -> None:
    """The attempt was right: it does not count."""
    with access.acting_as(None, None, "sign-in", using=_USING):
        SignInAttempt.objects.using(_USING).filter(id__in=numbers).delete()


def forget(*, kind: Kind, who: str) -> None:
    """Nothing counts any more for this account; what its network tried does."""
    with access.acting_as(None, None, "sign-in", using=_USING):
        SignInAttempt.objects.using(_USING).filter(key=_key(kind, who)).delete()


def _key(kind: str, who: str) -> str:
    return salted_hmac(f"backend.accounts.attempts {kind}", who.lower(), algorithm="sha256").hexdigest()
