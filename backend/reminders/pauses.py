"""While a session goes on, nothing buzzes: habits are skipped, care waits for its end; safety goes out."""

import uuid
from datetime import datetime

from django.db.models import Max, Min

from backend.accounts import counters
from backend.reminders import ledger
from backend.reminders.codes import Purpose, ReminderClass
from backend.reminders.models import Rule

_SAFETY = [purpose for purpose in Purpose if purpose.facts.reminder_class == ReminderClass.SAFETY]


def pause(*, person_id: uuid.UUID, from_at: datetime, until_at: datetime, now: datetime) -> int:
    """Nothing but safety goes out to the person in this half-open span; the number of rules that heed it.

    Called again it replaces the earlier span, so a session that ends sooner is told with its real end. What is due
    within is judged when it is claimed. Inside the caller's transaction.
    """
    counters.lock(patient_id=person_id)
    rules = Rule.objects.filter(person_id=person_id).exclude(purpose__in=_SAFETY)
    ids = [rule.id for rule in ledger.lock_rules(rules.values_list("id", flat=True))]
    return Rule.objects.filter(id__in=ids).update(paused_from_at=from_at, paused_until_at=until_at, updated_at=now)


def heed(rule: Rule, *, now: datetime) -> None:
    """A rule that is made while a session goes on, or before one that is announced, heeds it as the others do."""
    paused = Rule.objects.filter(person_id=rule.person_id, paused_until_at__gt=now).exclude(purpose__in=_SAFETY)
    if rule.purpose not in _SAFETY:
        span = paused.aggregate(from_at=Min("paused_from_at"), until_at=Max("paused_until_at"))
        rule.paused_from_at, rule.paused_until_at = span["from_at"], span["until_at"]
