"""The small outbox for mail that accounts sends; a row is written before each attempt, and failures stay visible."""

import smtplib
from datetime import UTC, datetime, timedelta

import structlog
from celery import current_app
from django.core.mail import EmailMessage
from django.db import transaction

from backend.accounts import access
from backend.accounts.models import OutboxMail

log = structlog.get_logger(__name__)
ATTEMPTS = 8
BATCH = 20
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def put(*, recipient: str, subject: str, text: str, now: datetime) -> OutboxMail:
    """Writes a mail that leaves after commit, within seconds; the watch behind the doorbell calls `send_due` itself."""
    mail = OutboxMail.objects.create(recipient=recipient, subject=subject, text=text, created_at=now, try_at=now)
    transaction.on_commit(_ring, robust=True)
    return mail


def rehearse() -> None:
    """As much work as a mail makes, and none of it stays: nobody learns from the time which address gets mail."""
    with transaction.atomic():
        OutboxMail.objects.create(
            recipient="nobody@afterglow.invalid", subject="", text="", created_at=_NEVER, try_at=_NEVER, sent_at=_NEVER
        )
        transaction.set_rollback(True)
    transaction.on_commit(_ring, robust=True)


def _ring() -> None:
    current_app.send_task("accounts.send_outbox", expires=10)


def send_due(*, now: datetime, limit: int = BATCH) -> int:
    """Sends what is due, at most `limit` mails, and returns how many left. Needs the database and the mail server only.

    No fault of one mail holds up another or is raised. Several callers at once share the work.
    """
    sent = 0
    for _ in range(limit):
        mail = _claim(now)
        if mail is None:
            break
        sent += _attempt(mail, now)
    return sent


def _claim(now: datetime) -> OutboxMail | None:
    """Counts the attempt and commits, before anything goes out: a process that dies in it leaves the next to later."""
    with access.acting_as(None, None, "outbox"):
        mail = (
            OutboxMail.objects.select_for_update(skip_locked=True)
            .filter(try_at__lte=now, sent_at__isnull=True, failed_at__isnull=True)
            .order_by("try_at")
            .first()
        )
        if mail is not None:
            mail.attempts += 1
            mail.try_at = now + timedelta(seconds=30 * 2**mail.attempts)
            mail.save(update_fields=["attempts", "try_at"])
        return mail


def _attempt(mail: OutboxMail, now: datetime) -> bool:
    # The text may hold a code that opens an account: it goes once nothing will send it again.
    outcome: dict[str, object] = {"sent_at": now, "text": "", "html": ""}
    try:
        EmailMessage(subject=mail.subject, body=mail.text, to=[mail.recipient]).send()
    except Exception as error:  # whatever it is, it is this mail's and must not hold up those behind it
        log.warning("outbox mail not sent", mail=str(mail.id), attempt=mail.attempts, error=type(error).__name__)
        if mail.attempts < ATTEMPTS and not _is_final(error):
            return False
        outcome = {"failed_at": now, "text": "", "html": ""}
    with access.acting_as(None, None, "outbox"):
        OutboxMail.objects.filter(id=mail.id, sent_at__isnull=True).update(**outcome)
    return "sent_at" in outcome


def _is_final(error: Exception) -> bool:
    """Whether the same mail can never leave: no address, no header, or a server that refused the recipient for good."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, ValueError)
