"""What a person wishes of reminders, copied onto their rules, since the dispatcher sees no persons."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from backend.accounts import consents
from backend.accounts.models import Person
from backend.reminders.codes import Purpose, ReminderClass
from backend.reminders.models import Rule

# DOMAIN.md, 'Adherence': at most one nudge; an hour after, and for the check-in alone unless one asks for it, are ours.
NUDGE_MINUTES = 60
_NUDGED = (Purpose.CHECK_IN,)
_COPIED = ("home_zone", "quiet_from", "quiet_until", "channels", "daily_cap", "muted_at", "time_zone")
# What moves the hours; the rest changes only whether and how a reminder goes out.
TIMES = frozenset({"home_zone", "quiet_from", "quiet_until", "time_zone"})


def copy(rule: Rule, person: Person, *, now: datetime) -> set[str]:
    """Puts the person's zone, quiet hours, channels, cap and choices onto a rule, to be saved; what changed."""
    before = {name: getattr(rule, name) for name in _COPIED}
    rule.home_zone = person.time_zone
    if rule.follows_person:
        rule.time_zone = person.time_zone
    rule.quiet_from, rule.quiet_until = person.quiet_from, person.quiet_until
    chosen = None if _is_safety(rule.purpose) else rule.purpose
    rule.channels = consents.channels_of(person, clinic_id=rule.clinic_id, purpose=chosen, now=now)
    rule.daily_cap = person.daily_cap
    rule.muted_at = (rule.muted_at or now) if _is_off(person, rule.purpose) else None
    return {name for name, value in before.items() if getattr(rule, name) != value}


def nudge_minutes(person: Person, purpose: str, *, nudge: bool | None = None) -> int | None:
    """After how many minutes one nudge comes; None: never. What the rule says counts, then the person's choice."""
    wanted = nudge if nudge is not None else choice(person, purpose).get("nudge", purpose in _NUDGED)
    return NUDGE_MINUTES if wanted else None


def choice(person: Person, purpose: str) -> Mapping[str, Any]:
    """What differs for a purpose: `channels`, `off`, `nudge`; nothing is as usual."""
    found: Mapping[str, Any] = person.reminder_choices.get(purpose, {})
    return found


def _is_off(person: Person, purpose: str) -> bool:
    """Safety cannot be switched off (DOMAIN.md)."""
    return not _is_safety(purpose) and bool(choice(person, purpose).get("off"))


def _is_safety(purpose: str) -> bool:
    return Purpose(purpose).facts.reminder_class == ReminderClass.SAFETY
