"""Tells in plain words how a chain of people went: to the patient only that the clinic was told, to staff by role."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby

from backend.accounts import access
from backend.accounts.models import Membership, Role
from backend.common import clock
from backend.reminders import walltime
from backend.reminders.models import Escalation, Reminder, Rule, Status

# So many instants are named one by one; of more, the first and the last.
_NAMED = 6


def tell(reminder: Reminder, *, rule: Rule, reader_id: uuid.UUID) -> list[str]:
    """Sentences about the chain to which a reminder belongs, in the order of events; none for any other reminder."""
    if reminder.about_type != "escalation" or reminder.about_id is None or reminder.clinic_id is None:
        return []
    with access.machine_of(reminder.clinic_id):
        chain = Escalation.objects.filter(id=reminder.about_id).first()
        if chain is None:
            return []
        told = Reminder.objects.filter(about_type="escalation", about_id=chain.id)
        told = told.exclude(status__in=[Status.PLANNED, Status.SKIPPED]).order_by("due_at")
        instants = list(told.values_list("due_at", "person_id"))
        roles = _roles(reminder.clinic_id, {person for _, person in instants} | {chain.acknowledged_by})
    if reader_id == chain.person_id:
        return [
            *_to_patient(chain, instants, rule),
            _end(chain, rule, by="Your clinic" if _by_clinic(chain) else "You"),
        ]
    by = roles.get(chain.acknowledged_by, "the clinic") if chain.acknowledged_by else "the clinic"
    return [*_to_staff(instants, roles, rule), _end(chain, rule, by=by[0].upper() + by[1:])]


def _by_clinic(chain: Escalation) -> bool:
    return chain.acknowledged_by != chain.person_id


def _roles(clinic_id: uuid.UUID, people: Iterable[uuid.UUID | None]) -> dict[uuid.UUID | None, str]:
    held = Membership.objects.filter(clinic_id=clinic_id, person_id__in=[id for id in people if id])
    return {
        person: f"the {Role(role).label.lower()}"
        for person, role in held.order_by("since_at").values_list("person_id", "role")
    }


def _to_patient(chain: Escalation, instants: Sequence[tuple[datetime, uuid.UUID]], rule: Rule) -> list[str]:
    own = [due_at for due_at, person in instants if person == chain.person_id]
    clinic = sorted({due_at for due_at, person in instants if person != chain.person_id})
    return [
        f"{who} told {_times(dues, rule)}." for who, dues in (("You were", own), ("Your clinic was", clinic)) if dues
    ]


def _to_staff(
    instants: Sequence[tuple[datetime, uuid.UUID]], roles: dict[uuid.UUID | None, str], rule: Rule
) -> list[str]:
    steps = []
    for due_at, group in groupby(instants, key=lambda each: each[0]):
        names = sorted({roles.get(person, "someone of the clinic") for _, person in group})
        steps.append(f"At {_at(due_at, rule)} it was told to {' and '.join(names)}.")
    if len(steps) > _NAMED:
        steps = [steps[0], f"It was told {len(steps)} times.", steps[-1]]
    return steps


def _times(dues: Sequence[datetime], rule: Rule) -> str:
    if len(dues) > _NAMED:
        return f"{len(dues)} times, first at {_at(dues[0], rule)} and last at {_at(dues[-1], rule)}"
    return "at " + " and at ".join(_at(due_at, rule) for due_at in dues)


def _end(chain: Escalation, rule: Rule, *, by: str) -> str:
    if chain.acknowledged_at is not None:
        return f"{by} answered at {_at(chain.acknowledged_at, rule)}, and nobody is told any more."
    if chain.next_at is not None:
        return f"Nobody has answered yet; the next are told at {_at(chain.next_at, rule)}."
    return f"It was taken care of at {_at(chain.stopped_at or chain.opened_at, rule)}, and nobody is told any more."


def _at(at: datetime, rule: Rule) -> str:
    return f"{walltime.wall(at, clock.zone(rule.time_zone)):%-d %B %Y, %H:%M}"
