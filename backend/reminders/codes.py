"""The room's words for states, reasons, purposes and channels, as they are stored and shown to programs."""

from dataclasses import dataclass

from django.db import models


class ReminderClass(models.TextChoices):
    """What a reminder may do: `safety` ignores quiet hours, cap and snooze; `habit` is the only one that is capped."""

    SAFETY = "safety"
    CARE = "care"
    HABIT = "habit"


BY_URGENCY = (ReminderClass.SAFETY, ReminderClass.CARE, ReminderClass.HABIT)


class Purpose(models.TextChoices):
    """Why someone is reminded. The room knows the code and its class, and nothing of what stands behind it."""

    ALERT = "alert"
    APPOINTMENT = "appointment"
    SESSION = "session"
    DAY_CHECK = "day_check"
    QUESTIONNAIRE = "questionnaire"
    CHECK_IN = "check_in"
    TARGET = "target"
    OWN = "own"
    ADDRESS = "address"
    SILENCE = "silence"

    @property
    def facts(self) -> "PurposeFacts":
        """What follows from the purpose."""
        return _FACTS[self]


@dataclass(frozen=True, slots=True)
class PurposeFacts:
    """`announces` an event, so in quiet hours it leaves the evening before; the others wait for the morning.

    `window` is for how many minutes it makes sense after its time; an announcement makes sense until its event.
    """

    reminder_class: ReminderClass
    announces: bool = False
    window: int = 120


# Classes: DOMAIN.md, 'Safety alerts'. Windows are ours: an evening note until late, a questionnaire for a day.
_FACTS = {
    Purpose.ALERT: PurposeFacts(ReminderClass.SAFETY, window=7 * 24 * 60),
    Purpose.APPOINTMENT: PurposeFacts(ReminderClass.CARE, announces=True),
    Purpose.SESSION: PurposeFacts(ReminderClass.CARE, announces=True),
    Purpose.DAY_CHECK: PurposeFacts(ReminderClass.CARE, window=12 * 60),
    Purpose.QUESTIONNAIRE: PurposeFacts(ReminderClass.CARE, window=24 * 60),
    Purpose.CHECK_IN: PurposeFacts(ReminderClass.HABIT, window=150),
    Purpose.TARGET: PurposeFacts(ReminderClass.HABIT),
    Purpose.OWN: PurposeFacts(ReminderClass.HABIT),
    # To the person: an address takes no messages any more. To the care team: a patient has not answered for days.
    Purpose.ADDRESS: PurposeFacts(ReminderClass.CARE, window=7 * 24 * 60),
    Purpose.SILENCE: PurposeFacts(ReminderClass.CARE, window=7 * 24 * 60),
}


class Status(models.TextChoices):
    """Where a reminder stands; docs/reminders.md draws the ways between these states."""

    PLANNED = "planned"
    DUE = "due"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    DONE = "done"
    SNOOZED = "snoozed"
    SKIPPED = "skipped"
    EXPIRED = "expired"
    FAILED = "failed"


OPEN = (Status.PLANNED, Status.DUE, Status.SENT, Status.SNOOZED)


class Reason(models.TextChoices):
    """Why a reminder was not sent, or ended without its person; `story.py` has the words."""

    ALREADY_LOGGED = "already_logged"
    MADE_LATER = "made_later"
    WINDOW_CLOSED = "window_closed"
    APPOINTMENT_CANCELLED = "appointment_cancelled"
    APPOINTMENT_MOVED = "appointment_moved"
    ZONE_CHANGED = "zone_changed"
    RULE_CHANGED = "rule_changed"
    RULE_ENDED = "rule_ended"
    UNCONFIRMED = "unconfirmed"
    UNDELIVERABLE = "undeliverable"
    UNTIL_DONE = "until_done"
    QUIET_HOURS = "quiet_hours"
    OPTED_OUT = "opted_out"
    IN_SESSION = "in_session"
    DAILY_CAP = "daily_cap"
    GONE_SILENT = "gone_silent"
    CANCELLED_BY_STAFF = "cancelled_by_staff"
    ANSWERED_BY_OTHER = "answered_by_other"


# A plan that is made anew may bring back what an earlier plan took away.
WITHDRAWN = (
    Reason.APPOINTMENT_CANCELLED,
    Reason.APPOINTMENT_MOVED,
    Reason.ZONE_CHANGED,
    Reason.RULE_CHANGED,
    Reason.RULE_ENDED,
)


class Channel(models.TextChoices):
    """Ways to a person. The inbox is the ledger itself; the others are modules in `channels`."""

    INBOX = "inbox"
    PUSH = "push"
    EMAIL = "email"
    SMS = "sms"


class DeliveryStatus(models.TextChoices):
    """Where a delivery stands; `sending` is committed before the hand-over, so that a crash leaves a trace."""

    PENDING = "pending"
    LEASED = "leased"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    OPENED = "opened"
    UNKNOWN = "unknown"
    FAILED = "failed"
