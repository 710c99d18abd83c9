"""Chains of people who are told one after the other until one of them answers. A chain never ends by itself.

`open`, `stop` and `answered` run inside the caller's transaction and work as the clinic's machine, for the rows are
those of other people. `backend.reminders.chains` lets an open chain go on, as the dispatcher.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db.models import QuerySet

from backend.accounts import access
from backend.accounts.models import Membership, Person
from backend.reminders import doorbell, schedule, wishes
from backend.reminders.models import Escalation, Purpose, Reason, Reminder, ReminderClass, Rule, Status
from backend.reminders.planning import About

log = structlog.get_logger(__name__)

ABOUT = "escalation"
# A chain that is opened while another about the same is being closed finds a free place at the second look.
_LOOKS = 3


class EmptyChain(ValueError):
    """Nobody would be told; the message names each gap."""


class Opened(LookupError):
    """Another clinic has a chain open about the same thing."""


@dataclass(frozen=True, slots=True)
class Step:
    """These people are told, and have `after_minutes` to answer before the next step; at least one minute."""

    people: Sequence[uuid.UUID]
    after_minutes: int


def gaps(*, clinic_id: uuid.UUID, steps: Sequence[Step]) -> list[str]:
    """What is missing in a chain, in words; empty when each step reaches someone who is in the clinic now.

    For who writes a policy: one with a gap is refused there. An alert is never refused for a gap that came later.
    """
    with access.machine_of(clinic_id):
        return _gaps(steps, _here(clinic_id, steps))


def _gaps(steps: Sequence[Step], here: Collection[uuid.UUID]) -> list[str]:
    found = [] if steps else ["The chain has no step."]
    for place, step in enumerate(steps, start=1):
        if not step.people:
            found.append(f"Step {place} names nobody.")
        elif not set(here) & set(step.people):
            found.append(f"Step {place} names nobody who is in the clinic now.")
        if step.after_minutes < 1:
            found.append(f"Step {place} leaves no time to answer; give it a minute at least.")
    return found


def open(
    *, person: Person, clinic_id: uuid.UUID, purpose: str, about: About, steps: Sequence[Step], now: datetime
) -> Escalation:
    """Opens a chain about something of a person and plans the first step's reminders, which are due now.

    The steps are copied: what becomes of the policy afterwards changes nothing. While one is open about the same, it is
    joined and nobody is told again. A step that reaches nobody is left out, with a line in the log. Raises EmptyChain
    when no step reaches anyone.
    """
    for _ in range(_LOOKS):
        with access.machine_of(clinic_id):
            known = _open_ones(about).filter(purpose=purpose).first()
            if known is not None:
                return known
            row = Escalation(
                person=person,
                clinic_id=clinic_id,
                purpose=purpose,
                about_type=about.type,
                about_id=about.id,
                steps=[],
                opened_at=now,
            )
            rules, missing = _lay_out(row, steps, now)
            if rules:
                # It waits for who opens one about the same in this moment, and does nothing if they come first.
                Escalation.objects.bulk_create([row], ignore_conflicts=True)
                if not Escalation.objects.filter(id=row.id).exists():
                    continue
                Rule.objects.bulk_create(rules)
                told = {uuid.UUID(id) for id in row.steps[0]["rules"]}
                Reminder.objects.bulk_create(_first(rule, now) for rule in rules if rule.id in told)
        if not rules:  # raised out here, as the person again: whoever catches it goes on in this transaction
            raise EmptyChain(" ".join(missing))
        urgent = Purpose(purpose).facts.reminder_class == ReminderClass.SAFETY
        doorbell.ring_after_commit("default", urgent=urgent)
        return row
    raise Opened(f"another chain about {about.type} {about.id} is open")


def raise_again(
    *, person: Person, clinic_id: uuid.UUID, purpose: str, about: About, steps: Sequence[Step], now: datetime
) -> Escalation:
    """The level rose: a new chain takes the place of the one that is open, if any, and tells everybody from the start.

    Raises EmptyChain, and then the old one goes on.
    """
    with access.machine_of(clinic_id):
        here = _here(clinic_id, steps)
    if not here:
        raise EmptyChain(" ".join(_gaps(steps, here)))
    with access.machine_of(clinic_id):
        _close(_open_ones(about).filter(purpose=purpose), now)
    return open(person=person, clinic_id=clinic_id, purpose=purpose, about=about, steps=steps, now=now)


def stop(*, about: About, clinic_id: uuid.UUID, now: datetime) -> int:
    """What the chains were about is taken care of: nobody is told any more; the number that were open."""
    with access.machine_of(clinic_id):
        return _close(_open_ones(about), now)


def answered(reminder: Reminder, *, by: Person, now: datetime) -> bool:
    """Someone of the chain acknowledged the reminder: the chain ends; whether it does.

    Who has left the clinic ends nothing. The others' reminders are settled by the dispatcher within a second, and
    looked at before each sending.
    """
    if reminder.about_type != ABOUT or reminder.about_id is None or reminder.clinic_id is None:
        return False
    with access.machine_of(reminder.clinic_id):
        chain = Escalation.objects.filter(id=reminder.about_id, next_at__isnull=False)
        if not Membership.objects.filter(person=by, clinic_id=reminder.clinic_id, ended_at__isnull=True).exists():
            log.warning("who left the clinic answered a chain, it goes on", escalation=str(reminder.about_id))
            return False
        return bool(chain.update(acknowledged_at=now, acknowledged_by=by.id, next_at=None))


def leave(person_id: uuid.UUID, clinic_id: uuid.UUID, now: datetime) -> None:
    """Who has left the clinic is told nothing more by its chains; they go on with the others. As its machine."""
    rules = Rule.objects.filter(person_id=person_id, clinic_id=clinic_id, about_type=ABOUT, ended_at__isnull=True)
    left = Reminder.objects.filter(rule__in=rules, status__in=[Status.PLANNED, Status.DUE])
    left.update(status=Status.SKIPPED, reason=Reason.RULE_ENDED, change_number=None, updated_at=now)
    rules.update(ended_at=now, updated_at=now)


def _open_ones(about: About) -> QuerySet[Escalation]:
    return Escalation.objects.filter(about_type=about.type, about_id=about.id, next_at__isnull=False)


def _close(chains: QuerySet[Escalation], now: datetime) -> int:
    return chains.update(stopped_at=now, next_at=None)


def _here(clinic_id: uuid.UUID, steps: Sequence[Step]) -> dict[uuid.UUID, Person]:
    """Those of the steps who are in the clinic now."""
    named = {id for step in steps for id in step.people}
    members = Membership.objects.filter(person_id__in=named, clinic_id=clinic_id, ended_at__isnull=True)
    found = Person.objects.filter(id__in=members.values("person_id"), deactivated_at__isnull=True)
    return {person.id: person for person in found}


def _lay_out(chain: Escalation, steps: Sequence[Step], now: datetime) -> tuple[list[Rule], list[str]]:
    """Copies the steps onto the chain: a rule for each person, also of several steps, and the gaps in words."""
    assert chain.clinic_id is not None  # noqa: S101
    here = _here(chain.clinic_id, steps)
    rules: dict[uuid.UUID, Rule] = {}
    for step in steps:
        reached = [here[id] for id in dict.fromkeys(step.people) if id in here]
        if len(reached) < len(set(step.people)) or not reached:
            log.warning("a step of a chain does not reach all whom it names", escalation=str(chain.id))
        for person in reached:
            if person.id not in rules:
                rules[person.id] = _rule(chain, person, now)
        if reached:
            minutes = max(step.after_minutes, 1)
            chain.steps.append({"rules": [str(rules[person.id].id) for person in reached], "minutes": minutes})
    if chain.steps:
        following(chain, now)
    return list(rules.values()), _gaps(steps, here)


def following(chain: Escalation, now: datetime) -> None:
    """The step that was next is told now: which one follows, in which round, and when."""
    chain.next_at = now + timedelta(minutes=chain.steps[chain.step]["minutes"])
    chain.step += 1
    if chain.step == len(chain.steps):
        chain.step, chain.round = 0, chain.round + 1


def _rule(chain: Escalation, person: Person, now: datetime) -> Rule:
    """What the dispatcher must know of a person to tell them; its reminders are written by the chain alone."""
    rule = Rule(
        person=person,
        clinic_id=chain.clinic_id,
        purpose=chain.purpose,
        about_type=ABOUT,
        about_id=chain.id,
        anchor_at=now,
        offsets=[],
        time_zone=person.time_zone,
        window_minutes=Purpose(chain.purpose).facts.window,
        created_at=now,
        updated_at=now,
    )
    wishes.copy(rule, person, now=now)
    return rule


def _first(rule: Rule, now: datetime) -> Reminder:
    """Due now. Its place in the person's changes is given by the dispatcher, so that nobody's counter is waited for."""
    slot = schedule.place(rule, due_at=now)
    return Reminder(
        rule=rule,
        person_id=rule.person_id,
        clinic_id=rule.clinic_id,
        purpose=rule.purpose,
        reminder_class=Purpose(rule.purpose).facts.reminder_class,
        about_type=rule.about_type,
        about_id=rule.about_id,
        due_at=now,
        send_at=max(slot.send_at, now),
        expires_at=slot.expires_at,
        status=Status.PLANNED,
        version=1,
        created_at=now,
        updated_at=now,
    )
