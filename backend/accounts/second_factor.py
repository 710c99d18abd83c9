"""The second factor: who needs one, what proves it, and that each code proves it once."""

import uuid
from datetime import datetime
from typing import Any

import structlog
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from django.db import IntegrityError, transaction
from django.utils.crypto import constant_time_compare

from backend.accounts import lifetimes, sealed
from backend.accounts.models import STAFF, Person

log = structlog.get_logger(__name__)
STEP_SECONDS = 30
# One step to either side: phones' clocks are off, and people type while a step ends (RFC 6238, 5.2).
TOLERANCE = 1
PRIMARY = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
_PURPOSE = "second factor"


class CodeUsed(ValueError):
    """The code was right, and has been used before."""


class AlreadyEnrolled(ValueError):
    """The person has an authenticator app already."""


class LastOne(ValueError):
    """Someone who works at a clinic keeps one second factor at least."""


class Adapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Where allauth asks us about second factors."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "This code is not right. Check the time on your phone, or use a recovery code.",
        "code_used": "This code was used already. Wait for the next one.",
        "already_enrolled": "You have an authenticator app already; remove it first.",
        "last_one": "Staff need a second factor: add another before you remove this one.",
    }

    def encrypt(self, text: str) -> str:
        """A copy of the database alone makes no codes."""
        return sealed.seal(text, purpose=_PURPOSE)

    def decrypt(self, encrypted_text: str) -> str:
        """Counterpart of `encrypt`. Raises sealed.Unsealable."""
        return sealed.unseal(encrypted_text, purpose=_PURPOSE)

    def get_totp_issuer(self) -> str:
        """What the authenticator app shows beside the code."""
        return "Afterglow"

    def _get_site_name(self) -> str:
        return "Afterglow"


def is_required(person: Person) -> bool:
    """Whether the person works at a clinic."""
    return any(role in STAFF for held in person.open_roles.values() for role in held)


def is_proved(session: Any) -> bool:
    """Whether this sign-in was proved by a second factor."""
    return bool(lifetimes.facts_of(session).get("second_factor"))


def is_missing(*, person: Person, session: Any) -> bool:
    """Whether the person has to enrol, or sign in again with a second factor, before anything else opens."""
    return is_required(person) and not is_proved(session)


def prove(session: Any) -> None:
    """From now on the session counts as proved; its key changes, so that one known before opens nothing."""
    session[lifetimes.FACTS] = {**lifetimes.facts_of(session), "second_factor": True}
    session.cycle_key()


def step_of(*, secret: str, code: str, now: datetime) -> int | None:
    """The time step whose code this is, within the tolerance; None when it is none's. `secret` is base32 text."""
    given = "".join(code.split())
    current = int(now.timestamp()) // STEP_SECONDS
    right = [
        step
        for step in range(current - TOLERANCE, current + TOLERANCE + 1)
        if constant_time_compare(given, format_hotp_value(hotp_value(secret, step)))
    ]
    return max(right, default=None)


def code_at(*, secret: str, now: datetime) -> str:
    """The code that an authenticator app shows at this moment."""
    return str(format_hotp_value(hotp_value(secret, int(now.timestamp()) // STEP_SECONDS)))


def accept_code(*, person: Person, code: str, now: datetime) -> Authenticator | None:
    """The authenticator whose code this is, an app's or a recovery code, and marks it used; None when it is wrong.

    Rows are locked until the transaction ends, so of two requests with one code, on whatever servers, one is right.
    Raises CodeUsed.
    """
    with transaction.atomic():
        rows = Authenticator.objects.select_for_update().filter(user_id=person.pk).exclude(type="webauthn")
        for row in rows.order_by("id"):
            try:
                if row.type == Authenticator.Type.RECOVERY_CODES:
                    if RecoveryCodes(row).validate_code("".join(code.split())):
                        return row
                    continue
                step = step_of(secret=Adapter().decrypt(row.data["secret"]), code=code, now=now)
            except sealed.Unsealable:
                log.error("a second factor cannot be read; is SECRET_KEY_FALLBACKS complete?", authenticator=row.pk)
                continue
            if step is None:
                continue
            if step <= row.data.get("last_step", 0):
                raise CodeUsed("This code was used already; wait for the next one.")
            row.data["last_step"] = step
            row.save(update_fields=["data"])
            return row
    return None


def enrol_app(*, person: Person, secret: str, step: int) -> Authenticator:
    """The person's authenticator app, proved by the code of `step`, which counts as used. Raises AlreadyEnrolled."""
    try:
        with transaction.atomic():
            row = TOTP.activate(person, secret).instance
            row.data["last_step"] = step
            row.save(update_fields=["data"])
    except IntegrityError as error:
        raise AlreadyEnrolled("There is an authenticator app already; remove it first.") from error
    return row


def keep_recovery_codes(person: Person) -> bool:
    """Makes recovery codes for someone who has none yet; whether that was so."""
    if Authenticator.objects.filter(user_id=person.pk, type=Authenticator.Type.RECOVERY_CODES).exists():
        return False
    RecoveryCodes.activate(person)
    return True


def renew_recovery_codes(person: Person) -> Authenticator:
    """New recovery codes; the earlier ones open nothing any more."""
    with transaction.atomic():
        list(Authenticator.objects.select_for_update().filter(user_id=person.pk))
        Authenticator.objects.filter(user_id=person.pk, type=Authenticator.Type.RECOVERY_CODES).delete()
        made: Authenticator = RecoveryCodes.activate(person).instance
    return made


def remove(*, person: Person, ids: list[int]) -> int:
    """Takes second factors away, and the recovery codes with the last; returns how many. Raises LastOne for staff."""
    with transaction.atomic():
        held = Authenticator.objects.select_for_update().filter(user_id=person.pk, type__in=PRIMARY)
        kept = [row.pk for row in held if row.pk not in ids]
        gone = [row.pk for row in held if row.pk in ids]
        if not kept and gone and is_required(person):
            raise LastOne("Someone who works at a clinic keeps one second factor at least.")
        Authenticator.objects.filter(user_id=person.pk, pk__in=gone).delete()
        if not kept:
            Authenticator.objects.filter(user_id=person.pk).delete()
    return len(gone)


def forget_all(*, person_id: uuid.UUID) -> int:
    """For someone who lost phone and recovery codes: all second factors go; at the next sign-in new ones are set up."""
    deleted: int = Authenticator.objects.filter(user_id=person_id).delete()[0]
    return deleted


def app_of(person: Person) -> Authenticator | None:
    """The person's authenticator app."""
    return Authenticator.objects.filter(user_id=person.pk, type=Authenticator.Type.TOTP).first()


def has_app(person: Person) -> bool:
    """Whether the person has an authenticator app."""
    return app_of(person) is not None
