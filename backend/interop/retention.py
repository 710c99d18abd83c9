"""Retention: what a clinic's rules no longer keep is removed, each day; without a rule nothing ever is.

A patient's own entries belong to no clinic. They go only when every clinic in which the person is or was a patient has
a rule for the kind, and then by the longest of them. Whom a legal hold keeps, in any clinic, loses nothing.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import DatabaseError, connection

from backend.accounts import access
from backend.accounts.holdings import Holding, holdings
from backend.interop.models import RetentionRule

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Removed:
    """How many rows of one table one rule removed, or would remove."""

    clinic: uuid.UUID
    kind: str
    table: str
    keep_days: int
    rows: int


def kinds() -> list[str]:
    """What a rule can be about."""
    return sorted({holding.kind for holding in holdings() if holding.kind})


def run(*, now: datetime, dry_run: bool = False, tell: Callable[[Removed], None] = lambda _: None) -> list[Removed]:
    """Applies every rule of every clinic, each in a transaction of its own; with `dry_run` only counts."""
    with access.acting_as(None, None, "retention"):
        rules = list(RetentionRule.objects.order_by("clinic_id", "kind"))
    found: list[Removed] = []
    for rule in rules:
        try:
            with access.acting_as(None, rule.clinic_id, "retention"):
                removed = [_apply(rule, holding, now, dry_run) for holding in _of_kind(rule.kind)]
        except DatabaseError as error:  # whatever is wrong with one rule, the others are applied
            log.error("retention failed", rule=str(rule.id), kind=rule.kind, error=type(error).__name__)
            continue
        for each in removed:
            tell(each)
        if not dry_run and any(each.rows for each in removed):
            log.info("retention", clinic=str(rule.clinic_id), kind=rule.kind, rows=sum(r.rows for r in removed))
        found += removed
    return found


def _of_kind(kind: str) -> list[Holding]:
    """The tables of the kind, those below a parent first."""
    return sorted((h for h in holdings() if h.kind == kind), key=lambda holding: holding.parent is None)


def _apply(rule: RetentionRule, holding: Holding, now: datetime, dry_run: bool) -> Removed:
    parent, link = holding.parent or ("", "")
    own_time = holding.own_time or next(h.own_time for h in holdings() if h.table == parent)
    values: list[Any] = [
        rule.id, holding.table, holding.holder, own_time, "clinic_id" if holding.clinic else "", parent, link,
        now, dry_run,
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("SELECT interop_retain_rows(%s, %s, %s, %s, %s, %s, %s, %s, %s)", values)
        return Removed(rule.clinic_id, rule.kind, holding.table, rule.keep_days, int(cursor.fetchone()[0]))
