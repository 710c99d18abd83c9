"""The small outbox for mail that accounts sends; a row is written before each attempt, and failures stay visible."""

import smtplib
from datetime import datetime, timedelta

import structlog
from celery import current_app
from django.core.mail import EmailMessage
from django.db import transaction

from backend.accounts import access
from backend.accounts.models import OutboxMail

log = structlog.get_logger(__name__)
ATTEMPTS = 8
BATCH = 20


def put(*, recipient: str, subject: str, text: str, now: datetime) -> OutboxMail:
    """Writes a mail that leaves after commit, within seconds; beat's entry is the watch behind the doorbell."""
    mail = OutboxMail.objects.create(recipient=recipient, subject=subject, text=text, created_at=now, try_at=now)
    transaction.on_commit(_ring, robust=True)
    return mail


def _ring() -> None:
    current_app.send_task("accounts.send_outbox", expires=10)


def send_due(*, now: datetime) -> int:
    """Sends what is due, one transaction a mail, and returns how many left."""
    sent = 0
    for _ in range(BATCH):
        with access.acting_as(None, None, "outbox"):
            mail = (
                OutboxMail.objects.select_for_update(skip_locked=True)
                .filter(try_at__lte=now, sent_at__isnull=True, failed_at__isnull=True)
                .order_by("try_at")
                .first()
            )
            if mail is None:
                break
            sent += _attempt(mail, now)
    return sent


def _attempt(mail: OutboxMail, now: datetime) -> bool:
    mail.attempts += 1
    try:
        EmailMessage(subject=mail.subject, body=mail.text, to=[mail.recipient]).send()
    except (OSError, smtplib.SMTPException) as error:
        log.warning("outbox mail not sent", mail=str(mail.id), attempt=mail.attempts, error=type(error).__name__)
        mail.try_at = now + timedelta(seconds=30 * 2**mail.attempts)
        mail.failed_at = now if mail.attempts >= ATTEMPTS else None
    else:
        mail.sent_at = now
    mail.save(update_fields=["attempts", "try_at", "sent_at", "failed_at"])
    return mail.sent_at is not None
