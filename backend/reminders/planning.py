"""Plans reminders: rules and anchors are set, ended, settled and planned anew, always by set difference.

Every function runs inside the caller's transaction (`access.acting_as`). The order of locks is the same everywhere:
the person's counter, then the rule, then its reminders.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import IntegrityError

from backend.accounts import counters
from backend.accounts.models import Person
from backend.common import clock
from backend.reminders import ledger, pauses, recurrence, schedule, settling, titles, wishes
from backend.reminders.models import Purpose, Reason, Rule, Status
from backend.reminders.pauses import pause
from backend.reminders.recurrence import RuleError
from backend.reminders.settling import settle

__all__ = [
    "About",
    "AlwaysQuiet",
    "NeverHappens",
    "RuleError",
    "TakenRuleId",
    "end",
    "end_rule",
    "pause",
    "replan",
    "set_anchor",
    "set_rule",
    "settle",
]

MOST_A_DAY = 24
# How long before its anchor a reminder is due: days keep the wall time, minutes elapse; negative ones come after it.
Offset = Mapping[str, int]
DAY_BEFORE: Offset = {"days": 1}
TWO_HOURS_BEFORE: Offset = {"minutes": 120}
# A zone change looks back so far for what already happened on the person's present day.
_TRAVEL = timedelta(days=2)


class NeverHappens(ValueError):
    """The series has no occurrence after now."""


class AlwaysQuiet(ValueError):
    """Every time of the series lies in the person's quiet hours, and none would make sense after them.

    `by_rule` when the rule names the times itself and not its start.
    """

    def __init__(self, message: str, *, by_rule: bool) -> None:
        super().__init__(message)
        self.by_rule = by_rule


class TakenRuleId(LookupError):
    """The id belongs to a rule of someone else, or to one that is not a series."""


class About(NamedTuple):
    """What a reminder is about, opaque to this room: the type's name and an id."""

    type: str
    id: uuid.UUID


def set_rule(
    *,
    person: Person,
    purpose: str,
    rrule: str,
    start: datetime,
    now: datetime,
    id: uuid.UUID | None = None,
    time_zone: str | None = None,
    title: str = "",
    clinic_id: uuid.UUID | None = None,
    about: About | None = None,
    window_minutes: int | None = None,
    settled_until_at: datetime | None = None,
    nudge: bool | None = None,
    refuse_quiet: bool = False,
) -> tuple[Rule, bool]:
    """Creates or replaces a series and plans its next reminder; the rule, and whether it is new.

    Who calls may know that it is done already up to an instant: nothing is planned before `settled_until_at`.

    `start` is naive wall time. Without a zone, or in the person's present one, the series follows the person; in
    another it stays there. An ended rule is opened again. `nudge` says whether one nudge comes; None leaves it to the
    person's choice. Raises RuleError, UnknownZone, NeverHappens, TakenRuleId, with `refuse_quiet` AlwaysQuiet.
    """
    parsed = recurrence.parse(rrule)
    if len(parsed.by_hour or (0,)) * len(parsed.by_minute or (0,)) > MOST_A_DAY:
        raise RuleError(f"A reminder may come at most {MOST_A_DAY} times a day.")
    zone_name = time_zone or person.time_zone
    clock.zone(zone_name)
    counters.lock(patient_id=person.id)
    known = next(iter(ledger.lock_rules([id])), None) if id else None
    if known is not None and (known.person_id != person.id or known.rrule is None):
        raise TakenRuleId(str(id))
    wanted = {
        "purpose": purpose,
        "rrule": rrule,
        "start_local": start,
        "time_zone": zone_name,
        "follows_person": zone_name == person.time_zone,
        "clinic_id": clinic_id,
        "about_type": about.type if about else "",
        "about_id": about.id if about else None,
        "window_minutes": window_minutes or Purpose(purpose).facts.window,
        "nudge_minutes": wishes.nudge_minutes(person, purpose, nudge=nudge),
        "ended_at": None,
    }
    same = known is not None and all(getattr(known, name) == value for name, value in wanted.items())
    if known is not None and same and titles.says(known, title):
        return known, False
    rule = known or Rule(id=id or uuid.uuid4(), person=person, created_at=now, version=0)
    for name, value in wanted.items():
        setattr(rule, name, value)
    _copy_person(rule, person, now)
    titles.write(rule, title, now=now)
    settling.set_settled(rule, settled_until_at)
    slot = ledger.next_free(rule, after=now)
    if slot is None:
        raise NeverHappens("This rule never happens again; nothing can be planned.")
    if refuse_quiet and schedule.is_always_quiet(rule, after=now):
        raise AlwaysQuiet(
            f"Your quiet hours are {rule.quiet_from:%H:%M} to {rule.quiet_until:%H:%M}, and every time of this series "
            "lies in them, so nothing would ever be sent. Choose an hour outside of them, or change your quiet hours.",
            by_rule=bool(parsed.by_hour),
        )
    try:
        _save(rule, now=now, new=known is None)
    except IntegrityError:  # someone else took the id in the same moment
        raise TakenRuleId(str(id)) from None
    ledger.write_plan(rule, [slot], now=now, reason=Reason.RULE_CHANGED)
    settling.heard_of(person_id=person.id, now=now)
    return rule, known is None


def set_anchor(
    *,
    person: Person,
    purpose: str,
    about: About | tuple[str, uuid.UUID],
    anchor_at: datetime,
    now: datetime,
    offsets: Iterable[Offset] = (DAY_BEFORE, TWO_HOURS_BEFORE),
    clinic_id: uuid.UUID | None = None,
    window_minutes: int | None = None,
) -> Rule:
    """Plans the reminders around an anchor, such as an appointment's start; moving it moves what was not yet sent.

    Twice is the same as once. One whose instant had passed when it was planned is skipped, `made_later`.
    """
    about = About(*about)
    counters.lock(patient_id=person.id)
    same = Rule.objects.filter(
        about_type=about.type, about_id=about.id, person=person, purpose=purpose, anchor_at__isnull=False
    )
    known = next(iter(ledger.lock_rules(same.values_list("id", flat=True))), None)
    rule = known or Rule(
        person=person, purpose=purpose, about_type=about.type, about_id=about.id, created_at=now, version=0
    )
    wanted = {
        "anchor_at": anchor_at,
        "offsets": [dict(offset) for offset in offsets],
        "time_zone": person.time_zone,
        "clinic_id": clinic_id,
        "window_minutes": window_minutes or Purpose(purpose).facts.window,
        "ended_at": None,
    }
    if known is None or any(getattr(known, name) != value for name, value in wanted.items()):
        for name, value in wanted.items():
            setattr(rule, name, value)
        _copy_person(rule, person, now)
        _save(rule, now=now, new=known is None)
        slots = schedule.anchored(rule, now=now)
        ledger.write_plan(rule, slots, now=now, reason=Reason.APPOINTMENT_MOVED, in_hand=True)
    return rule


def end(
    *,
    about: About | tuple[str, uuid.UUID],
    now: datetime,
    reason: str = Reason.APPOINTMENT_CANCELLED,
    person_id: uuid.UUID | None = None,
) -> int:
    """Ends every rule about something, for one person or for all; the number of rules that were open."""
    about = About(*about)
    found = Rule.objects.filter(about_type=about.type, about_id=about.id, ended_at__isnull=True)
    found = found.filter(person_id=person_id) if person_id else found
    for person in sorted(set(found.values_list("person_id", flat=True))):
        counters.lock(patient_id=person)
    rules = ledger.lock_rules(found.values_list("id", flat=True))
    return sum(_end(rule, now=now, reason=reason) for rule in rules)


def end_rule(*, rule_id: uuid.UUID, person_id: uuid.UUID, now: datetime) -> bool:
    """Ends a series of the person's own. False when there is none that is open."""
    counters.lock(patient_id=person_id)
    rules = ledger.lock_rules(Rule.objects.filter(id=rule_id, person_id=person_id).values_list("id", flat=True))
    return any(_end(rule, now=now, reason=Reason.RULE_ENDED) for rule in rules)


def _end(rule: Rule, *, now: datetime, reason: str) -> bool:
    if rule.ended_at is not None:
        return False
    rule.ended_at = now
    _save(rule, now=now, new=False)
    ledger.write_plan(rule, [], now=now, reason=reason, in_hand=True)
    return True


def replan(person: Person, *, now: datetime, nudges: Collection[str] = ()) -> int:
    """The person's zone, quiet hours, channels or choices have changed: plans all open rules anew; the rows changed.

    What was sent or done keeps its instant, and its wall time that day is not reminded of again in the new zone. Series
    of the purposes in `nudges` take over what the person now says about a nudge.
    """
    counters.lock(patient_id=person.id)
    changed = 0
    open_rules = Rule.objects.filter(person=person, ended_at__isnull=True)
    for rule in ledger.lock_rules(open_rules.values_list("id", flat=True)):
        recent = rule.reminders.filter(due_at__gt=now - _TRAVEL).exclude(status__in=[Status.PLANNED, Status.SKIPPED])
        served = schedule.walls_of(recent.values_list("due_at", flat=True), time_zone=rule.time_zone)
        renewed = wishes.copy(rule, person, now=now)
        if rule.purpose in nudges and _set_nudge(rule, person):
            renewed.add("nudge_minutes")
        if not renewed:
            continue
        _save(rule, now=now, new=False)
        if not renewed & wishes.TIMES:
            continue
        if rule.anchor_at is not None and not rule.offsets:
            continue  # its chain writes its reminders; what is on its way to somebody stays
        if rule.anchor_at is not None:
            slots = schedule.anchored(rule, now=now)
        else:
            slot = ledger.next_free(rule, after=now, served=served)
            slots = [slot] if slot else []
        changed += ledger.write_plan(rule, slots, now=now, reason=Reason.ZONE_CHANGED)
    return changed


def heed_consent(person: Person, purpose: str, now: datetime) -> None:
    """The person agreed to messages through a channel, or no longer does: what is to come is planned anew."""
    if purpose.startswith("messages_"):
        replan(person, now=now)


def _copy_person(rule: Rule, person: Person, now: datetime) -> None:
    wishes.copy(rule, person, now=now)
    pauses.heed(rule, now=now)


def _set_nudge(rule: Rule, person: Person) -> bool:
    before = rule.nudge_minutes
    rule.nudge_minutes = wishes.nudge_minutes(person, rule.purpose) if rule.rrule is not None else None
    return before != rule.nudge_minutes


def _save(rule: Rule, *, now: datetime, new: bool) -> None:
    rule.version += 1
    rule.updated_at = now
    rule.save(force_insert=new)
