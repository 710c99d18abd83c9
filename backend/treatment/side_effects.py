"""The side-effect log: one of aftercare's logs, kept here since an entry may point at a session."""

import uuid
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any

from msgspec import Meta

from backend.accounts.isolation import Share
from backend.accounts.models import Person
from backend.aftercare import kinds
from backend.aftercare.entries import Entry, in_order
from backend.common.bodies import Instant, Text, choice
from backend.common.problems import FieldError
from backend.treatment.models import Session, SideEffect, SideEffectKind


class SideEffectEntry(Entry, kw_only=True, frozen=True):
    """A side effect, 1 mild to 3 severe; without `ended_at` it is still there."""

    kind: Annotated[str, choice(SideEffectKind.values)]
    severity: Annotated[int, Meta(ge=1, le=3, description="1 mild, 2 moderate, 3 severe")]
    started_at: Instant
    ended_at: Instant | None = None
    session: uuid.UUID | None = None
    note: Text | None = None

    def faults(self) -> list[FieldError]:
        """It ends after it began."""
        return in_order(self, "started_at", "ended_at")

    def happened(self) -> tuple[tuple[str, datetime | date | None], ...]:
        """It was felt."""
        return (("started_at", self.started_at), ("ended_at", self.ended_at))


def unknown_sessions(patient: Person, given: Mapping[int, Any]) -> dict[int, list[FieldError]]:
    """A side effect can point only at a session of the same patient."""
    named = {entry.session for entry in given.values() if entry.session is not None}
    known = set(Session.objects.filter(patient=patient, id__in=named).values_list("id", flat=True)) if named else set()
    refusal = FieldError("/session", "unknown", "There is no such session of yours.")
    return {place: [refusal] for place, entry in given.items() if entry.session not in known | {None}}


def register() -> None:
    """Adds the kind to the registry."""
    kinds.register(
        kinds.Kind(
            "side-effects",
            "side_effects",
            SideEffect,
            SideEffectEntry,
            "started_at",
            Share.SIDE_EFFECTS,
            refusals=unknown_sessions,
        )
    )
