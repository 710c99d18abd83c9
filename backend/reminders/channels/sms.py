"""Text messages through a gateway that speaks Twilio's interface: a form is posted, JSON comes back.

Source: Twilio's 'Messages resource' and its error codes, as of November 2026.
"""

import unicodedata
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import requests
from django.conf import settings

from backend.accounts.models import Device, Person
from backend.common import outward
from backend.reminders.channels.answers import retry_after
from backend.reminders.channels.base import Address, Fate, Outcome, Parcel, Send, Unreachable, fingerprint
from backend.reminders.channels.lines import Lines
from backend.reminders.codes import Channel as Name

# GSM 03.38, the basic table: one message holds 160 of these.
_BASIC = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ALIKE = {0x60: "'", 0xB4: "'", 0x2018: "'", 0x2019: "'", 0x2013: "-", 0x2014: "-"}  # quotation marks and dashes
LONGEST = 160
# 21211 not a valid number, 21214 and 21217 neither, 21610 its owner wrote STOP, 21614 no mobile.
_DEAD = {21211, 21214, 21217, 21610, 21614}
_PATIENCE = (outward.CONNECT_SECONDS, outward.READ_SECONDS)

_GATEWAY = Lines(requests.Session)


class Sms:
    """A gateway's messages. Without a header by which it recognises a repetition they leave one by one."""

    name: str = Name.SMS
    is_brief = True

    @property
    def honours_key(self) -> bool:
        """Only where the gateway takes an idempotency key (SMS_IDEMPOTENCY_HEADER)."""
        return bool(settings.SMS_IDEMPOTENCY_HEADER)

    @property
    def at_once(self) -> int:
        """20 with such a key, else 1."""
        return 20 if self.honours_key else 1

    @property
    def threads(self) -> int:
        """All that may be in hand: a gateway takes its time."""
        return self.at_once

    def is_set_up(self) -> bool:
        """With a gateway's address and account."""
        return bool(settings.SMS_URL)

    def address_of(self, person: Person, devices: Sequence[Device], blocked: Collection[str]) -> Address | None:
        """The number that the person has confirmed."""
        if not person.phone or person.phone_confirmed_at is None or fingerprint(self.name, person.phone) in blocked:
            return None
        return Address(person.phone)

    @contextmanager
    def open(self, *, now: datetime, urgent: bool = False) -> Iterator[Send]:
        """Nothing is opened: each thread keeps its session with the gateway."""

        def send(parcel: Parcel) -> Outcome:
            words = f"{parcel.letter.subject}: {parcel.letter.text}"
            return post(_GATEWAY.session(), parcel.address.line, words, key=str(parcel.key), now=parcel.now)

        yield send


def post(session: requests.Session, number: str, text: str, *, key: str, now: datetime) -> Outcome:
    """One text message. Raises Unreachable while nothing was handed over and the gateway or our account is to blame."""
    form = {"To": number, "Body": plain(text)}
    form["MessagingServiceSid" if settings.SMS_FROM.startswith("MG") else "From"] = settings.SMS_FROM
    headers = {settings.SMS_IDEMPOTENCY_HEADER: key} if settings.SMS_IDEMPOTENCY_HEADER else {}
    try:
        answer = session.post(
            settings.SMS_URL,
            data=form,
            auth=(settings.SMS_ACCOUNT, settings.SMS_TOKEN),
            headers=headers,
            timeout=_PATIENCE,
            allow_redirects=False,
        )
    except requests.ConnectTimeout as error:
        raise Unreachable(type(error).__name__) from error
    except requests.RequestException as error:
        if _never_left(error):
            raise Unreachable(type(error).__name__) from error
        return Outcome(Fate.UNKNOWN, type(error).__name__)
    return _told(answer, Address(number), now)


def _never_left(error: BaseException | None) -> bool:
    """Whether no connection was made at all: urllib3 says so in the reason of its own error."""
    while error is not None:
        if type(error).__name__ in {"NewConnectionError", "NameResolutionError", "ConnectTimeoutError"}:
            return True
        inner = next((each for each in error.args if isinstance(each, BaseException)), None)
        error = getattr(error, "reason", None) or inner
    return False


def _told(answer: requests.Response, address: Address, now: datetime) -> Outcome:
    status, code = answer.status_code, _code(answer)
    detail = f"SMS {status} {code or ''}".strip()
    if 200 <= status < 300:
        return Outcome(Fate.SENT)
    if code in _DEAD:
        return Outcome(Fate.REFUSED, detail, dead=address)
    if status in {401, 403, 404} and code not in _DEAD:  # our account or address, not the person's number
        raise Unreachable(detail)
    if status == 429 or status >= 500:
        return Outcome(Fate.LATER, detail, wait=retry_after(answer, now=now), is_broken=status >= 500)
    return Outcome(Fate.REFUSED, detail)


def _code(answer: requests.Response) -> int | None:
    try:
        code = answer.json()["code"]
    except (ValueError, KeyError, TypeError):
        return None
    return code if isinstance(code, int) else None


def plain(text: str) -> str:
    """The text in characters of the basic table, 160 at most: any other would cost a second message."""
    kept = []
    for each in text:
        if each in _BASIC:
            kept.append(each)
            continue
        bare = "".join(part for part in unicodedata.normalize("NFKD", each) if part in _BASIC)
        kept.append(bare or _ALIKE.get(ord(each), "?"))
    return "".join(kept)[:LONGEST]
