"""What the care team does about a patient's reminder: takes it back, sends it again, lets a doubtful one be.

Each asks why. The words go into the audit trail, for colleagues; the patient reads only that the clinic did it. Runs
inside the caller's transaction and locks in the order of the room: counter, rule, reminder. Deliveries are added and
read, never changed: those that exist are the workers'.
"""

import uuid
from collections.abc import Callable
from datetime import datetime

from django.db.models import Max

from backend.accounts import access, audit, consents, counters
from backend.accounts.access import Actor
from backend.accounts.models import Action, Person
from backend.reminders import channels, doorbell, ledger, schedule
from backend.reminders.models import Channel, Delivery, DeliveryStatus, Reason, Reminder, ReminderClass, Rule, Status

_IN_HAND = (DeliveryStatus.PENDING, DeliveryStatus.LEASED, DeliveryStatus.SENDING)
_FIELDS = ("status", "reason", "send_at", "expires_at", "nudge_at")
_ENDED = {
    Status.ACKNOWLEDGED: "The patient has seen it already.",
    Status.DONE: "It is done already.",
    Status.SKIPPED: "It was not to be sent; explain says why.",
    Status.EXPIRED: "Its time is over already.",
    Status.FAILED: "It could not be sent; it is in the inbox.",
}
_BY = {Channel.PUSH: "notification", Channel.EMAIL: "e-mail", Channel.SMS: "text message"}


class NoSuchReminder(LookupError):
    """There is no such reminder of a patient of the own care team."""


class Refused(ValueError):
    """It cannot be done in this state; `code` for programs, the text for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def cancel(*, reminder_id: uuid.UUID, actor: Actor, reason_text: str, now: datetime) -> Reminder:
    """Takes back a reminder that was not sent yet; its series goes on. Twice is the same as once.

    What is pending is given up when the worker looks at it again. Raises NoSuchReminder, Refused, or a 404 problem.
    """

    def act(row: Reminder, rule: Rule, _: Person) -> bool:
        if row.status == Status.SKIPPED and row.reason == Reason.CANCELLED_BY_STAFF:
            return False
        if row.status == Status.SENT:
            raise Refused("already_sent", "It was sent already; what was sent cannot be taken back.")
        _refuse_ended(row)
        if row.deliveries.filter(status=DeliveryStatus.SENDING).exists():
            raise Refused("on_its_way", "It is being handed over this moment; look again in a minute.")
        row.status, row.reason, row.nudge_at = Status.SKIPPED, Reason.CANCELLED_BY_STAFF, None
        ledger.change([row], now=now, fields=_FIELDS)
        if not rule.reminders.filter(status=Status.PLANNED).exists():
            ledger.plan_next(rule, after=max(now, row.due_at), now=now)
        return True

    return _act(reminder_id, actor, "reminders/cancel", reason_text, act)


def resend(
    *, reminder_id: uuid.UUID, actor: Actor, reason_text: str, now: datetime, channel: str | None = None
) -> Reminder:
    """Sends once more what was sent, parked, failed or expired, through the named channel or the first of the person's.

    Its window begins anew; quiet hours still hold, so it may leave at their end. While it is on its way a repetition
    changes nothing. Raises NoSuchReminder, Refused, or a 404 problem.
    """

    def act(row: Reminder, rule: Rule, patient: Person) -> bool:
        if _is_on_its_way(row, channel):
            return False
        _refuse_unsent(row)
        _refuse_overtaken(row, rule, now)
        chosen = _channel(channel, row, rule, patient, now)
        send_at = _after_quiet(rule, now)
        expires_at = schedule.expiry(rule, due_at=row.due_at, send_at=send_at)
        if expires_at <= now:
            raise Refused("too_late", "It makes no sense any more: what it announces has begun.")
        if expires_at <= send_at:
            raise Refused("quiet_hours", "The patient's quiet hours end after what it announces has begun.")
        row.status, row.reason, row.nudge_at = Status.DUE, "", None
        row.send_at, row.expires_at = send_at, expires_at
        ledger.change([row], now=now, fields=_FIELDS)
        _deliver(row, chosen, send_at, now)
        return True

    return _act(reminder_id, actor, "reminders/resend", reason_text, act)


def let_be(*, reminder_id: uuid.UUID, actor: Actor, reason_text: str, now: datetime) -> Reminder:
    """Leaves a delivery that was never confirmed as it is: someone looked, and nothing needs to be done.

    Twice is the same as once. Raises NoSuchReminder, Refused, or a 404 problem.
    """

    def act(row: Reminder, _: Rule, __: Person) -> bool:
        if row.status == Status.SENT and row.reason == Reason.UNCONFIRMED:
            row.reason = ""
            ledger.change([row], now=now, fields=("reason",))
            return True
        if not row.deliveries.filter(status=DeliveryStatus.UNKNOWN).exists():
            raise Refused("nothing_in_doubt", "No delivery of it is in doubt.")
        return False

    return _act(reminder_id, actor, "reminders/let-be", reason_text, act)


def may_cancel(row: Reminder) -> bool:
    """Whether taking it back is worth offering; `cancel` looks again."""
    return row.reminder_class != ReminderClass.SAFETY and row.status in {Status.PLANNED, Status.DUE, Status.SNOOZED}


def may_resend(row: Reminder) -> bool:
    """Whether sending it again is worth offering; `resend` looks again."""
    return row.reminder_class != ReminderClass.SAFETY and row.status in {Status.SENT, Status.FAILED, Status.EXPIRED}


def _act(
    reminder_id: uuid.UUID, actor: Actor, told_as: str, reason_text: str, act: Callable[[Reminder, Rule, Person], bool]
) -> Reminder:
    found = Reminder.objects.filter(id=reminder_id, clinic_id=actor.here).exclude(person=actor.person)
    first = found.first()
    if first is None:
        raise NoSuchReminder(str(reminder_id))
    record = access.open_record(actor, first.person_id)
    if record.own or record.by_caregiver:
        raise NoSuchReminder(str(reminder_id))
    counters.lock(patient_id=first.person_id)
    (rule,) = ledger.lock_rules([first.rule_id])
    row = found.select_for_update(no_key=True).get()
    if row.reminder_class == ReminderClass.SAFETY:
        raise Refused("safety", "A message about safety is answered by its alert; it cannot be changed here.")
    if act(row, rule, record.patient):
        audit.note(
            action=Action.UPDATE, object_type=told_as, object_id=row.id, patients=[row.person_id], reason=reason_text
        )
    return row


def _refuse_ended(row: Reminder) -> None:
    if row.status in _ENDED:
        raise Refused("already_ended", _ENDED[Status(row.status)])


def _refuse_unsent(row: Reminder) -> None:
    if row.status == Status.PLANNED:
        raise Refused("not_sent_yet", "It was not sent yet; it leaves by itself at its time.")
    if row.status == Status.SNOOZED:
        raise Refused("put_off", "The patient put it off; it comes again as they asked.")
    if row.status in {Status.ACKNOWLEDGED, Status.DONE, Status.SKIPPED}:
        _refuse_ended(row)


def _refuse_overtaken(row: Reminder, rule: Rule, now: datetime) -> None:
    """What it is about must still be so: nobody is reminded of a visit that was called off or moved."""
    if rule.ended_at is not None:
        raise Refused("ended", "What it reminds of was called off or ended.")
    if rule.muted_at is not None:
        raise Refused("opted_out", "The patient has switched off messages of this kind.")
    if rule.paused_from_at and rule.paused_until_at and rule.paused_from_at <= now < rule.paused_until_at:
        raise Refused("in_session", "A session is going on; send it when that is over.")
    if rule.anchor_at is not None and row.due_at not in {slot.due_at for slot in schedule.anchored(rule, now=now)}:
        raise Refused("moved", "What it reminds of was moved; another reminder takes its place.")
    later = rule.reminders.filter(due_at__gt=row.due_at, due_at__lte=now)
    if rule.rrule is not None and later.exclude(status__in=[Status.PLANNED, Status.SKIPPED]).exists():
        raise Refused("too_late", "A later reminder of its series has come since.")


def _is_on_its_way(row: Reminder, channel: str | None) -> bool:
    if row.status != Status.DUE:
        return False
    held = row.deliveries.filter(status__in=_IN_HAND).values_list("channel", flat=True).first()
    if held is not None and channel not in {None, held}:
        raise Refused("on_its_way", f"It is on its way by {_BY[Channel(held)]}; see first what becomes of it.")
    return held is not None


def _channel(wanted: str | None, row: Reminder, rule: Rule, patient: Person, now: datetime) -> str:
    """The channel to use: one that there is, that the person chose and agreed to."""
    chosen = consents.chosen_channels(patient, row.purpose)
    allowed = consents.channels_of(patient, clinic_id=row.clinic_id, purpose=row.purpose, now=now)
    if wanted is None:
        if first := channels.first(name for name in rule.channels if name in allowed):
            return first
        if not chosen:
            raise Refused("no_channel", "The patient wants such messages in the inbox alone, and there it is.")
        raise Refused("no_consent", "The patient has not agreed to messages through any channel; it is in the inbox.")
    if channels.first([wanted]) is None:
        raise Refused("no_channel", f"Nothing is sent by {_BY[Channel(wanted)]} from here.")
    if wanted not in chosen:
        raise Refused("no_channel", f"The patient has not chosen to be reached by {_BY[Channel(wanted)]}.")
    if wanted not in allowed:
        raise Refused("no_consent", f"The patient has not agreed to messages by {_BY[Channel(wanted)]}.")
    return wanted


def _after_quiet(rule: Rule, now: datetime) -> datetime:
    """Now, or the end of the quiet hours; announcements too, for the evening before is over."""
    span = schedule.quiet_span(rule, now)
    return span[1] if span else now


def _deliver(row: Reminder, channel: str, send_at: datetime, now: datetime) -> None:
    """The next attempt through a channel, as the claim writes it; it is leased from `send_at` on."""
    last = row.deliveries.filter(channel=channel).aggregate(last=Max("attempt"))["last"] or 0
    Delivery.objects.create(
        reminder=row,
        person_id=row.person_id,
        clinic_id=row.clinic_id,
        reminder_class=row.reminder_class,
        channel=channel,
        attempt=last + 1,
        try_at=send_at,
        created_at=now,
        changed_at=now,
    )
    if send_at <= now:
        doorbell.ring_after_commit("default")
