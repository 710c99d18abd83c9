"""Tells in plain words what became of a reminder, and why; for the patient and for staff alike."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from backend.common import clock
from backend.reminders import verdicts, walltime
from backend.reminders.models import Channel, Delivery, DeliveryStatus, Purpose, Reason, Reminder, Rule, Status

_WHAT = {
    Purpose.ALERT: "An alert",
    Purpose.APPOINTMENT: "A reminder of an appointment",
    Purpose.SESSION: "A reminder of a session",
    Purpose.DAY_CHECK: "A reminder of the check after a session",
    Purpose.QUESTIONNAIRE: "A reminder of a questionnaire",
    Purpose.CHECK_IN: "The reminder of the day's check-in",
    Purpose.TARGET: "A reminder from the plan",
    Purpose.OWN: "A reminder of one's own",
    Purpose.ADDRESS: "A word about an address that no longer works",
    Purpose.SILENCE: "A word about a patient who has not answered",
}
_WHY = {
    Reason.ALREADY_LOGGED: "it was already logged",
    Reason.MADE_LATER: "its time had passed when the appointment was made",
    Reason.WINDOW_CLOSED: "the time in which it made sense was over",
    Reason.APPOINTMENT_CANCELLED: "the appointment was cancelled",
    Reason.APPOINTMENT_MOVED: "the appointment was moved; another one takes its place",
    Reason.ZONE_CHANGED: "the time zone changed; another one takes its place",
    Reason.RULE_CHANGED: "its times were changed; another one takes its place",
    Reason.RULE_ENDED: "its series was ended",
    Reason.UNDELIVERABLE: "no address took it; it is in the inbox",
    Reason.QUIET_HOURS: "it fell into the quiet hours and would have made no sense after them",
    Reason.OPTED_OUT: "messages of this kind were switched off",
    Reason.IN_SESSION: "a session was going on",
    Reason.DAILY_CAP: "enough reminders had come that day",
    Reason.GONE_SILENT: "several days went by without an answer, so the clinic was told instead",
    Reason.CANCELLED_BY_STAFF: "the clinic took it back",
    Reason.ANSWERED_BY_OTHER: "someone else took care of it",
}
_WILL = {
    Reason.QUIET_HOURS: "it falls into the quiet hours and would make no sense after them",
    Reason.OPTED_OUT: "messages of this kind are switched off",
    Reason.IN_SESSION: "a session goes on then",
    Reason.GONE_SILENT: "several days went by without an answer; reminders resume with the next answer or check-in",
}
_NOW = {
    Status.PLANNED: "It is planned.",
    Status.DUE: "It is due and leaves now.",
    Status.SENT: "It was sent and waits for an answer.",
    Status.ACKNOWLEDGED: "It was acknowledged.",
}
_BY = {
    Channel.INBOX: "the inbox",
    Channel.PUSH: "notification",
    Channel.EMAIL: "e-mail",
    Channel.SMS: "text message",
}
_WENT = {
    DeliveryStatus.PENDING: "waits to leave by",
    DeliveryStatus.LEASED: "is about to leave by",
    DeliveryStatus.SENDING: "is on its way by",
    DeliveryStatus.SENT: "was sent by",
    DeliveryStatus.DELIVERED: "was delivered by",
    DeliveryStatus.OPENED: "was opened by",
    DeliveryStatus.UNKNOWN: "was handed over, but never confirmed, by",
    DeliveryStatus.FAILED: "could not be sent by",
}


def tell(*, reminder: Reminder, rule: Rule, deliveries: Iterable[Delivery], chain: Iterable[str] = ()) -> list[str]:
    """Sentences in the order of events, with times in the zone of the rule; `chain` tells of its chain of people."""
    ordered = sorted(deliveries, key=lambda each: (each.created_at, each.channel))
    # The inbox is the ledger itself: whatever left by another channel was in it from that moment on.
    inbox = [f"It is in the inbox since {_at(ordered[0].created_at, rule)}."] if ordered else []
    others = _deliveries(reminder, rule, (each for each in ordered if each.channel != Channel.INBOX))
    return [_what(reminder, rule), *_moved(reminder, rule), *inbox, *others, *chain, _end(reminder, rule)]


def _what(reminder: Reminder, rule: Rule) -> str:
    what = _WHAT[Purpose(reminder.purpose)]
    if rule.anchor_at is None or rule.anchor_at == reminder.due_at:
        return f"{what} for {_at(reminder.due_at, rule)} ({rule.time_zone})."
    # The hour of a reminder is not the hour of what it announces.
    due, anchor = _at(reminder.due_at, rule), _at(rule.anchor_at, rule)
    return f"{what} at {anchor}, to be told at {due} ({rule.time_zone})."


def _moved(reminder: Reminder, rule: Rule) -> list[str]:
    if reminder.send_at is None or reminder.send_at == reminder.due_at or reminder.status == Status.SNOOZED:
        return []
    if reminder.send_at == rule.paused_until_at:
        return [f"A session goes on before, so it waits for its end, {_at(reminder.send_at, rule)}."]
    if reminder.send_at < reminder.due_at and rule.quiet_from is not None:
        return [f"Quiet hours begin before it, so it leaves earlier, at {_at(reminder.send_at, rule)}."]
    if rule.quiet_from is not None and reminder.status in {Status.PLANNED, Status.SKIPPED}:
        return [f"That is in the quiet hours, so it leaves at their end, {_at(reminder.send_at, rule)}."]
    return [f"It was moved to {_at(reminder.send_at, rule)}."]


def _deliveries(reminder: Reminder, rule: Rule, deliveries: Iterable[Delivery]) -> Iterator[str]:
    nudged = False
    for each in deliveries:
        if not nudged and _is_nudge(each, reminder, rule):
            nudged = True
            yield "Nobody had answered, so it was sent once more:"
        yield _delivery(each, rule)


def _is_nudge(delivery: Delivery, reminder: Reminder, rule: Rule) -> bool:
    """A further delivery after the first was sent; when it was snoozed, one that left before it came again."""
    if rule.nudge_minutes is None or reminder.sent_at is None:
        return False
    if delivery.created_at < reminder.sent_at + timedelta(minutes=rule.nudge_minutes):
        return False
    snoozed_until = reminder.send_at if reminder.send_at and reminder.send_at > reminder.sent_at else None
    return snoozed_until is None or delivery.created_at < snoozed_until


def _delivery(delivery: Delivery, rule: Rule) -> str:
    if delivery.status == DeliveryStatus.FAILED and delivery.error == "no longer due":
        return f"It did not leave by {_BY[Channel(delivery.channel)]}: it was settled just before."
    words = f"It {_WENT[DeliveryStatus(delivery.status)]} {_BY[Channel(delivery.channel)]}"
    again = f" (attempt {delivery.attempt})" if delivery.attempt > 1 else ""
    return f"{words}{again}, {_at(delivery.changed_at, rule)}."


def _end(reminder: Reminder, rule: Rule) -> str:
    if reminder.status == Status.PLANNED and reminder.send_at is not None:
        foreseen = verdicts.foresee(reminder, rule)
        if foreseen.status == Status.SKIPPED:
            return f"As things stand it will not be sent: {_WILL[Reason(foreseen.reason)]}."
        return f"It is planned for {_at(foreseen.send_at or reminder.send_at, rule)}."
    if reminder.status == Status.SNOOZED:
        if reminder.send_at is None:
            return "Quiet was asked for until it is done; nothing more is sent."
        return f"It was put off and comes again at {_at(reminder.send_at, rule)}."
    if reminder.status == Status.ACKNOWLEDGED and reminder.acknowledged_at is not None:
        return f"It was acknowledged at {_at(reminder.acknowledged_at, rule)}."
    if reminder.status == Status.DONE:
        return f"It is done: {_because(reminder)}." if reminder.sent_at else f"Not sent: {_because(reminder)}."
    if reminder.status in {Status.SKIPPED, Status.EXPIRED, Status.FAILED}:
        return f"Not sent: {_because(reminder)}."
    if reminder.status == Status.SENT and reminder.nudge_at is not None:
        return f"It was sent; without an answer it comes once more at {_at(reminder.nudge_at, rule)}."
    if reminder.status == Status.SENT and reminder.reason == Reason.UNCONFIRMED:
        return "It was handed over, but whether it arrived was never confirmed; it is in the inbox."
    return _NOW[Status(reminder.status)]


def because(reason: str) -> str:
    """The reason in a few words."""
    return _WHY.get(Reason(reason), "") if reason else ""


def _because(reminder: Reminder) -> str:
    return _WHY.get(Reason(reminder.reason), "it was done") if reminder.reason else "it was done"


def _at(at: datetime, rule: Rule) -> str:
    return f"{walltime.wall(at, clock.zone(rule.time_zone)):%-d %B %Y, %H:%M}"
