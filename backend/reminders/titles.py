"""The titles of own reminders: words of a patient for themselves, sealed like every note."""

import uuid
from collections.abc import Iterable
from datetime import datetime

from backend.accounts import keys, notes
from backend.common.sealing import Place
from backend.reminders.models import Rule


def says(rule: Rule, title: str) -> bool:
    """Whether the rule's title is this."""
    ring = keys.Ring([rule.person_id])
    return notes.says(rule.title, title, ring=ring, patient_id=rule.person_id, place=_place(rule.id))


def write(rule: Rule, title: str, *, now: datetime) -> None:
    """Puts the title on the rule, to be saved. Raises keys.Unavailable."""
    by = keys.current(patient_id=rule.person_id, now=now) if title else None
    rule.title = notes.seal(title, by=by, place=_place(rule.id)) if by else ""


def opened(rules: Iterable[Rule]) -> dict[uuid.UUID, str | None]:
    """The titles by the rules' ids, one query for all; None for one that cannot be read."""
    held = {rule.id: {"id": rule.id, "patient_id": rule.person_id, "title": rule.title} for rule in rules}
    texts = notes.opened(Rule._meta.db_table, list(held.values()), ("title",))
    return {id: text["title"] for id, text in zip(held, texts, strict=True)}


def _place(rule_id: uuid.UUID) -> Place:
    return Place(Rule._meta.db_table, rule_id, "title")
