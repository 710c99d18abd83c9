"""What a delivery's own traces tell: the phone showed it, or the person used its button. Neither answers the reminder.

For staff and `explain` only: where a mail was in doubt and its link was used, it arrived. Runs in the person's own
context, inside the caller's transaction.
"""

import uuid
from datetime import datetime

from backend.reminders.codes import Channel, DeliveryStatus
from backend.reminders.models import Delivery

# From which states each follows. What is being handed over is its worker's alone until the outcome is written.
_BEFORE = {
    DeliveryStatus.DELIVERED: (DeliveryStatus.SENT,),
    DeliveryStatus.OPENED: (DeliveryStatus.SENT, DeliveryStatus.UNKNOWN, DeliveryStatus.DELIVERED),
}


def delivered(*, reminder_id: uuid.UUID, channel: Channel, now: datetime) -> None:
    """The phone showed it."""
    _note(DeliveryStatus.DELIVERED, reminder_id, channel, now)


def opened(*, reminder_id: uuid.UUID, channel: Channel, now: datetime) -> None:
    """The person used what it brought."""
    _note(DeliveryStatus.OPENED, reminder_id, channel, now)


def _note(status: DeliveryStatus, reminder_id: uuid.UUID, channel: Channel, now: datetime) -> None:
    """Of the newest attempt; twice is once. Waits for nobody: the dispatcher locks deliveries before reminders."""
    found = Delivery.objects.filter(reminder_id=reminder_id, channel=channel, status__in=_BEFORE[status])
    newest = found.select_for_update(skip_locked=True, no_key=True).order_by("-attempt").first()
    if newest is not None:
        newest.status, newest.changed_at = status, now
        newest.save(update_fields=["status", "changed_at"])
