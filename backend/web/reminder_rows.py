"""Reminders in words, as rows of the console's lists; one query for the deliveries of all."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.urls import reverse

from backend.accounts.models import Person
from backend.common import clock
from backend.insights import words
from backend.reminders import interventions, story
from backend.reminders.models import OPEN, Channel, Delivery, DeliveryStatus, Purpose, Reason, Reminder, Status

DOUBT = "doubt"
STATES: dict[str, str] = {
    DOUBT: "Not confirmed",
    Status.PLANNED: "Planned",
    Status.DUE: "Leaves now",
    Status.SENT: "Sent",
    Status.ACKNOWLEDGED: "Seen",
    Status.DONE: "Done",
    Status.SNOOZED: "Put off",
    Status.SKIPPED: "Not sent",
    Status.EXPIRED: "Too late",
    Status.FAILED: "Did not arrive",
}
PURPOSES: dict[str, str] = {
    Purpose.APPOINTMENT: "Appointment",
    Purpose.SESSION: "Session",
    Purpose.DAY_CHECK: "Check after a session",
    Purpose.QUESTIONNAIRE: "Questionnaire",
    Purpose.CHECK_IN: "Daily check-in",
    Purpose.TARGET: "From the plan",
    Purpose.OWN: "The patient's own",
    Purpose.ADDRESS: "About an address",
    Purpose.ALERT: "Alert",
    Purpose.SILENCE: "About a silence",
}
CHANNELS = {Channel.INBOX: "Inbox", Channel.PUSH: "Notification", Channel.EMAIL: "E-mail", Channel.SMS: "Text message"}
_DELIVERED = {
    DeliveryStatus.PENDING: "waits",
    DeliveryStatus.LEASED: "leaves now",
    DeliveryStatus.SENDING: "is on its way",
    DeliveryStatus.SENT: "sent",
    DeliveryStatus.DELIVERED: "delivered",
    DeliveryStatus.OPENED: "opened",
    DeliveryStatus.UNKNOWN: "not confirmed",
    DeliveryStatus.FAILED: "failed",
}
_TONES = {
    Status.DONE: "calm",
    Status.ACKNOWLEDGED: "calm",
    Status.FAILED: "watch",
    Status.EXPIRED: "watch",
}


def in_doubt() -> Q:
    """Handed over, never confirmed, and nobody has looked yet."""
    return Q(status=Status.SENT, reason=Reason.UNCONFIRMED)


def doubtful(patients: QuerySet[Person], *, clinic_id: uuid.UUID) -> QuerySet[Reminder]:
    """Those in doubt of these patients in a clinic."""
    unknown = Delivery.objects.filter(clinic_id=clinic_id, status=DeliveryStatus.UNKNOWN, person__in=patients)
    return Reminder.objects.filter(in_doubt(), id__in=unknown.values("reminder_id"), clinic_id=clinic_id)


def why(reason: str) -> str:
    """The reason in a few words, such as `it was already logged`; nothing for one that says no more than the state."""
    return "" if reason in {"", Reason.UNCONFIRMED, Reason.UNTIL_DONE} else story.because(reason)


def rows(
    found: Sequence[Reminder], *, zones: Mapping[uuid.UUID, str], now: datetime, form: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The rows with their stories, each in the zone of its patient; `form` is one that was sent with a fault."""
    held: dict[uuid.UUID, list[Delivery]] = {}
    for delivery in Delivery.objects.filter(reminder__in=found).order_by("created_at", "channel", "attempt"):
        held.setdefault(delivery.reminder_id, []).append(delivery)
    return [_row(row, held.get(row.id, []), zone=zones[row.person_id], now=now, form=form) for row in found]


def _row(
    row: Reminder, deliveries: Sequence[Delivery], *, zone: str, now: datetime, form: Mapping[str, Any] | None
) -> dict[str, Any]:
    local = row.due_at.astimezone(clock.zone(zone))
    doubt = row.status == Status.SENT and row.reason == Reason.UNCONFIRMED
    sent_back = form if form is not None and form["id"] == row.id else None
    return {
        "id": row.id,
        "iso": row.due_at.isoformat(),
        "day": words.dated(local.date()) if local.year == now.year else words.full(local.date()),
        "time": f"{local:%H:%M}",
        "purpose": PURPOSES[Purpose(row.purpose)],
        "state": STATES[DOUBT if doubt else Status(row.status)],
        "tone": "doubt" if doubt else _TONES.get(Status(row.status), "plain"),
        "doubt": doubt,
        "why": why(row.reason),
        "open_still": row.status in OPEN,
        "deliveries": _ways(deliveries),
        "story": story.tell(reminder=row, rule=row.rule, deliveries=deliveries),
        "acts": [_act(row, act, sent_back) for act in _offered(row, doubt=doubt)],
        "open": sent_back is not None,
    }


def _ways(deliveries: Sequence[Delivery]) -> list[dict[str, Any]]:
    """The inbox is the ledger itself: it has what another channel carries, and no row says so."""
    told = [_delivery(each) for each in deliveries]
    if deliveries and all(each.channel != Channel.INBOX for each in deliveries):
        told.append({"channel": CHANNELS[Channel.INBOX], "state": _DELIVERED[DeliveryStatus.SENT], "doubt": False})
    return told


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "channel": CHANNELS[Channel(delivery.channel)],
        "state": _DELIVERED[DeliveryStatus(delivery.status)],
        "doubt": delivery.status == DeliveryStatus.UNKNOWN,
    }


def _offered(row: Reminder, *, doubt: bool) -> list[str]:
    offered = ["cancel"] if interventions.may_cancel(row) else []
    offered += ["resend"] if interventions.may_resend(row) else []
    return offered + (["let-be"] if doubt else [])


_WORDS = {
    "cancel": ("Take back", "Nothing more is sent of it. Its series goes on with the next one."),
    "resend": ("Send again", "It goes out once more, after the patient's quiet hours if need be."),
    "let-be": ("Let be", "It stays as it is; the patient finds it in the inbox."),
}


def _act(row: Reminder, act: str, sent: Mapping[str, Any] | None) -> dict[str, Any]:
    name, what = _WORDS[act]
    mine = sent if sent is not None and sent["act"] == act else {}
    return {
        "code": act,
        "name": name,
        "what": what,
        "href": reverse(f"reminder-{act}-form", args=[row.person_id, row.id]),
        "reason": mine.get("reason", ""),
        "fault": mine.get("fault", ""),
    }
