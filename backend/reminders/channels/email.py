"""E-mail by SMTP: text and HTML, one message at a time, since SMTP has no idempotency key."""

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.smtp import EmailBackend

from backend.accounts.models import Person
from backend.reminders.channels.base import Fate, Outcome, Parcel, Send, Unreachable
from backend.reminders.codes import Channel as Name


class Email:
    """Django's SMTP backend, with an answer that tells a refusal from a lost connection."""

    name: str = Name.EMAIL
    at_once = 1
    honours_key = False

    def address_of(self, person: Person) -> str | None:
        """The address with which the person signs in."""
        return person.email or None

    @contextmanager
    def open(self) -> Iterator[Send]:
        """One SMTP connection for some parcels. Raises Unreachable."""
        connection = EmailBackend(fail_silently=False)
        _connect(connection)

        def send(parcel: Parcel) -> Outcome:
            if connection.connection is None:
                _connect(connection)
            message = _message(parcel)
            message.connection = connection
            outcome = _send(message)
            if outcome.fate is not Fate.SENT:
                # What was left of the conversation must not be taken for the answer to the next mail.
                connection.close()
            return outcome

        try:
            yield send
        finally:
            connection.close()


def _connect(connection: EmailBackend) -> None:
    try:
        connection.open()
    except (OSError, smtplib.SMTPException) as error:
        raise Unreachable(type(error).__name__) from error


def _message(parcel: Parcel) -> EmailMultiAlternatives:
    _, sender = parseaddr(settings.DEFAULT_FROM_EMAIL)
    message = EmailMultiAlternatives(
        subject=parcel.letter.subject,
        body=parcel.letter.text,
        to=[parcel.address],
        headers={
            # The same delivery has the same id, so a mail that was sent twice can be told by its receiver.
            "Message-ID": f"<{parcel.key}@{sender.rpartition('@')[2]}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    if parcel.letter.html:
        message.attach_alternative(parcel.letter.html, "text/html")
    return message


def _send(message: EmailMultiAlternatives) -> Outcome:
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        return _by_code(max(codes, default=451))
    except smtplib.SMTPResponseException as error:
        return _by_code(error.smtp_code)
    except (OSError, smtplib.SMTPException) as error:
        # The connection broke after the hand-over began: the server may or may not have taken the mail.
        return Outcome(Fate.UNKNOWN, type(error).__name__)
    return Outcome(Fate.SENT)


def _by_code(code: int) -> Outcome:
    """SMTP: 4xx asks to come again, 5xx means never."""
    return Outcome(Fate.REFUSED if code >= 500 else Fate.LATER, f"SMTP {code}")
