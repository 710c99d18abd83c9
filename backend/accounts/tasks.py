"""The room's background work."""

from typing import Any

from celery import shared_task

from backend.accounts import outbox
from backend.common import clock


@shared_task(name="accounts.send_outbox")
def send_outbox(**kwargs: Any) -> None:
    """Sends the mails that are due."""
    outbox.send_due(now=clock.now())
