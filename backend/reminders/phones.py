"""The number for text messages: it counts once a code that was sent there has come back.

Six digits are few, so little may be tried: a code lives ten minutes, five tries count within five minutes whatever
becomes of the request, a person gets a code a minute and five a day. All of this is ours.
"""

import secrets
import uuid
from datetime import datetime, timedelta
from functools import partial

import requests
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils.crypto import constant_time_compare, salted_hmac

from backend.accounts import attempts
from backend.accounts.models import Person
from backend.common import locks
from backend.reminders.channels import sms
from backend.reminders.channels.base import Fate, Unreachable, fingerprint
from backend.reminders.models import BlockedAddress, Channel, PhoneCode

log = structlog.get_logger(__name__)

LIVES = timedelta(minutes=10)
PAUSE = timedelta(minutes=1)
A_DAY = 5
_DAY = timedelta(days=1)
_WORDS = "{code} is your code. It works for 10 minutes. Tell it to nobody. Afterglow"


class NotSetUp(Exception):
    """This installation sends no text messages."""


class TooSoon(Exception):
    """There were too many codes, or too many tries; `wait` is how long until the next."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__("too soon")
        self.wait = wait


class NoCode(LookupError):
    """No code is waiting for an answer, or its time is over."""


class WrongCode(ValueError):
    """This is not the code that was sent."""


def pending(person: Person, *, now: datetime) -> PhoneCode | None:
    """The newest code that waits for its answer."""
    newest = PhoneCode.objects.filter(person=person).order_by("-sent_at").first()
    return newest if newest is not None and newest.used_at is None and newest.expires_at > now else None


def ask(*, person: Person, number: str, network: str, now: datetime) -> PhoneCode | None:
    """Sends a code to the number once this transaction is committed; None when it is confirmed already.

    The number that was confirmed before stays in use until the new one is. Raises NotSetUp, TooSoon.
    """
    if not settings.SMS_URL:
        raise NotSetUp
    locks.take(f"phone of {person.id}")
    if person.phone == number and person.phone_confirmed_at is not None:
        return None
    PhoneCode.objects.filter(person=person, sent_at__lte=now - _DAY).delete()
    sent = list(PhoneCode.objects.filter(person=person).order_by("-sent_at").values_list("sent_at", flat=True))
    if sent and now - sent[0] < PAUSE:
        raise TooSoon(PAUSE - (now - sent[0]))
    if len(sent) >= A_DAY:
        raise TooSoon(_DAY - (now - sent[A_DAY - 1]))
    _count(f"number {number}", network, now)
    code = f"{secrets.randbelow(1_000_000):06d}"
    id = uuid.uuid4()
    row = PhoneCode.objects.create(
        id=id, person=person, number=number, digest=_digest(id, code), sent_at=now, expires_at=now + LIVES
    )
    transaction.on_commit(partial(_send, number, code, str(id), now), robust=True)
    return row


def confirm(*, person: Person, code: str, network: str, now: datetime) -> None:
    """The number is the person's from now on; the same code again is the same as once.

    Raises NoCode, WrongCode, TooSoon.
    """
    locks.take(f"phone of {person.id}")
    row = PhoneCode.objects.filter(person=person, expires_at__gt=now).order_by("-sent_at").first()
    if row is None:
        raise NoCode
    numbers = _count(f"code {row.id}", network, now)
    if not constant_time_compare(_digest(row.id, code), row.digest):
        raise WrongCode
    attempts.forgive(numbers=numbers)
    if row.used_at is None:
        row.used_at = now
        row.save(update_fields=["used_at"])
        person.phone, person.phone_confirmed_at = row.number, now
        person.save(update_fields=["phone", "phone_confirmed_at"])
        # The code arrived, so whatever was wrong with this number is over.
        mark = fingerprint(Channel.SMS, row.number)
        BlockedAddress.objects.filter(person=person, channel=Channel.SMS, fingerprint=mark).delete()


def forget(*, person: Person) -> None:
    """No text message goes to the person any more; a code that was sent proves nothing."""
    locks.take(f"phone of {person.id}")
    PhoneCode.objects.filter(person=person).update(expires_at=F("sent_at"))
    person.phone, person.phone_confirmed_at = "", None
    person.save(update_fields=["phone", "phone_confirmed_at"])


def _count(who: str, network: str, now: datetime) -> tuple[int, ...]:
    """Counted in a transaction of its own, so that a refusal does not take it back. Raises TooSoon."""
    try:
        return attempts.begin(kind=attempts.Kind.PHONE, who=who, network=network, now=now)
    except attempts.Locked:
        raise TooSoon(attempts.WINDOW) from None


def _digest(id: uuid.UUID, code: str) -> str:
    return salted_hmac(f"backend.reminders.phones {id}", code, algorithm="sha256").hexdigest()


def _send(number: str, code: str, key: str, now: datetime) -> None:
    """After the commit, since nobody should wait for a gateway with a transaction open. Says nothing of the number."""
    try:
        with requests.Session() as session:
            outcome = sms.post(session, number, _WORDS.format(code=code), key=key, now=now)
    except Unreachable as error:
        log.warning("code for a number could not be sent", error=str(error))
        return
    if outcome.fate is not Fate.SENT:
        log.warning("code for a number was not taken", error=outcome.detail)
