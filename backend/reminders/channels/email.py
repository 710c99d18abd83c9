"""E-mail by SMTP: text and HTML, one message at a time, since SMTP has no idempotency key."""

import re
import smtplib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from email.generator import BytesGenerator
from email.mime.text import MIMEText
from email.utils import parseaddr
from io import BytesIO

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.message import sanitize_address

from backend.accounts.models import Device, Person
from backend.reminders.channels.base import (
    Address,
    Attachment,
    Fate,
    Outcome,
    Parcel,
    Send,
    Unreachable,
    fingerprint,
)
from backend.reminders.codes import Channel as Name

# RFC 5321: done; the two with which a recipient is taken; the server is about to close the connection.
_OK, _TAKEN, _CLOSING = 250, (250, 251), 421
_NO_MAILBOX = {550, 551, 553}
_ENHANCED = re.compile(rb"\s*5\.(\d{1,3})\.(\d{1,3})\b")


class Email:
    """Django's SMTP connection, with an answer that tells a refusal from a lost connection."""

    name: str = Name.EMAIL
    is_brief = False
    at_once = threads = 1
    honours_key = False

    def is_set_up(self) -> bool:
        """Always: EMAIL_URL has a default."""
        return True

    def address_of(self, person: Person, devices: Sequence[Device], blocked: Collection[str]) -> Address | None:
        """The address with which the person signs in."""
        if not person.email or fingerprint(self.name, person.email) in blocked:
            return None
        return Address(person.email)

    @contextmanager
    def open(self, *, now: datetime, urgent: bool = False) -> Iterator[Send]:
        """One SMTP connection for some parcels, made anew where the server closed it. Raises Unreachable."""
        connection = EmailBackend(fail_silently=False)
        _connect(connection)

        def send(parcel: Parcel) -> Outcome:
            try:
                outcome = _send(_connect(connection), parcel)
            except Unreachable:
                # Servers close a connection after so many mails or minutes; nothing was handed over, so once more.
                _leave(connection)
                outcome = _send(_connect(connection), parcel)
            if outcome.fate is not Fate.SENT:
                # What was left of the conversation must not be taken for the answer to the next mail.
                _leave(connection)
            return outcome

        try:
            yield send
        finally:
            _leave(connection)


def _connect(connection: EmailBackend) -> smtplib.SMTP:
    """The connection, opened and greeted if it was not yet."""
    try:
        connection.open()
        smtp = connection.connection
        assert smtp is not None  # noqa: S101 - it raises when it fails
        smtp.ehlo_or_helo_if_needed()
    except (OSError, smtplib.SMTPException) as error:
        raise Unreachable(type(error).__name__) from error
    return smtp


def _leave(connection: EmailBackend) -> None:
    with suppress(OSError, smtplib.SMTPException):
        connection.close()


def _message(parcel: Parcel) -> EmailMultiAlternatives:
    _, sender = parseaddr(settings.DEFAULT_FROM_EMAIL)
    message = EmailMultiAlternatives(
        subject=parcel.letter.subject,
        body=parcel.letter.text,
        to=[parcel.address.line],
        headers={
            # The same delivery has the same id, so a mail that was sent twice can be told by its receiver.
            "Message-ID": f"<{parcel.key}@{sender.rpartition('@')[2]}>",
            "Auto-Submitted": "auto-generated",
            **parcel.letter.headers,
        },
    )
    if parcel.letter.html:
        message.attach_alternative(parcel.letter.html, "text/html")
    for attachment in parcel.letter.attachments:
        message.attach(_part(attachment))
    return message


def _bytes_of(message: EmailMultiAlternatives) -> bytes:
    """As it goes out. No header is folded: List-Unsubscribe is longer than a line, and programs look for it in one."""
    written = BytesIO()
    BytesGenerator(written, mangle_from_=False, maxheaderlen=0).flatten(message.message(), linesep="\r\n")
    return written.getvalue()


def _part(attachment: Attachment) -> MIMEText:
    part = MIMEText(attachment.text, attachment.subtype, "utf-8")
    for name, value in attachment.parameters.items():
        part.set_param(name, value)
    part.add_header("Content-Disposition", "attachment", filename=attachment.name)
    return part


def _send(smtp: smtplib.SMTP, parcel: Parcel) -> Outcome:
    """The conversation about one mail. Raises Unreachable while nothing was handed over and the server is to blame."""
    _, sender = parseaddr(settings.DEFAULT_FROM_EMAIL)
    message = _message(parcel)
    address = sanitize_address(parcel.address.line, settings.DEFAULT_CHARSET)
    content = _bytes_of(message)
    try:
        code, _ = smtp.mail(sender)
        if code != _OK:  # a sender that is refused, or a quota: whoever the mail is for, it is not that person's fault
            raise Unreachable(f"sender refused, SMTP {code}")
        code, said = smtp.rcpt(address)
        if code == _CLOSING:
            raise Unreachable(f"SMTP {code}")
        if code not in _TAKEN:
            return Outcome(_by_code(code).fate, f"SMTP {code}", dead=parcel.address if _is_dead(code, said) else None)
    except (OSError, smtplib.SMTPException) as error:
        raise Unreachable(type(error).__name__) from error
    return _data(smtp, content)


def _is_dead(code: int, said: bytes) -> bool:
    """Whether the server refused this recipient because there is no such mailbox, and not for what the mail is.

    RFC 5321, 4.2.3: 550, 551, 553. Where it says more (RFC 3463), only 5.1.x and 5.2.1 are about the mailbox: 550 5.7.1
    is a filter's word, and a person should not lose all mails for one that was taken for spam.
    """
    if code not in _NO_MAILBOX:
        return False
    more = _ENHANCED.match(said)
    return more is None or more[1] == b"1" or more.groups() == (b"2", b"1")


def _data(smtp: smtplib.SMTP, content: bytes) -> Outcome:
    try:
        code, _ = smtp.data(content)
    except smtplib.SMTPDataError as error:
        return _by_code(error.smtp_code)
    except Exception as error:  # whatever it was: from here on the server may have taken the mail
        return Outcome(Fate.UNKNOWN, type(error).__name__)
    return Outcome(Fate.SENT) if code == _OK else _by_code(code)


def _by_code(code: int) -> Outcome:
    """SMTP: 4xx asks to come again, 5xx means never."""
    return Outcome(Fate.REFUSED if code >= 500 else Fate.LATER, f"SMTP {code}")
