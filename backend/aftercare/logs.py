"""Writing the logs: set-based, idempotent by the client's id, decided by version; twice is the same as once."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from backend.accounts import counters, keys
from backend.accounts.models import Person
from backend.aftercare import rows, state
from backend.aftercare.kinds import Kind
from backend.aftercare.models import Source
from backend.aftercare.rows import Candidate, Row
from backend.common.problems import FieldError

Outcome = Literal["created", "unchanged", "updated", "conflict", "rejected"]


@dataclass(slots=True)
class Verdict:
    """What became of one candidate; `row` is the row as it now stands, where the writer may see it."""

    id: uuid.UUID
    outcome: Outcome
    row: Row | None = None
    errors: list[FieldError] = field(default_factory=list)

    @property
    def hidden(self) -> bool:
        """Whether the id is none that this patient may know anything about."""
        return any(error.code in {"id_taken", "unknown_id"} for error in self.errors)


class _Refusals:
    """The words for what is not stored, in one place."""

    DUPLICATE = FieldError(
        "/id", "duplicate_in_batch", "This id stands in the batch more than once; another entry won."
    )
    TAKEN = FieldError("/id", "id_taken", "This id belongs to another record; make a new one.")
    UNKNOWN = FieldError(
        "/base_version", "unknown_id", "There is no such record to change; send it without a base version."
    )
    STALE = FieldError("/base_version", "stale", "The record has changed since; merge with `current` and send again.")
    DELETED = FieldError("/id", "deleted", "The record was deleted; name its version as the base to restore it.")


def record(
    *, patient: Person, kind: Kind, candidates: Sequence[Candidate], received_at: datetime, source: str = Source.PATIENT
) -> list[Verdict]:
    """Stores what is new, changes what may change, and says for each candidate, in the order given, what became of it.

    One insert serves all candidates without a base whose id is unknown; only the rest is read, compared and updated.
    The patient's counter is locked by the first statement, so two requests of one patient never interleave.
    """
    verdicts: dict[int, Verdict] = {}
    chosen = _without_duplicates(candidates, verdicts)
    if kind.refusals is not None:
        for i, errors in kind.refusals(patient, {i: candidates[i].entry for i in chosen}).items():
            verdicts[i] = Verdict(candidates[i].id, "rejected", None, errors)
        chosen = [i for i in chosen if i not in verdicts]
    fresh = [i for i in chosen if candidates[i].base is None and not candidates[i].delete]
    created: dict[uuid.UUID, Row] = {}
    if fresh:
        new = [candidates[i] for i in fresh]
        created = rows.insert(patient=patient, kind=kind, candidates=new, received_at=received_at, source=source)
    for i in fresh:
        if row := created.get(candidates[i].id):
            verdicts[i] = Verdict(candidates[i].id, "created", row)
    rest = [i for i in chosen if i not in verdicts]
    changed: list[Row] = []
    if rest:
        changed = _change(patient, kind, {i: candidates[i] for i in rest}, verdicts, received_at)
    if touched := [*created.values(), *changed]:
        state.note_entries(patient=patient, received_at=received_at)
        for after_write in kind.after_write:
            after_write(patient, touched, received_at)
    return [verdicts[i] for i in range(len(candidates))]


def _without_duplicates(candidates: Sequence[Candidate], verdicts: dict[int, Verdict]) -> list[int]:
    """The positions that may write: of one id the highest base, else the later place."""
    best: dict[uuid.UUID, int] = {}
    for i, candidate in enumerate(candidates):
        rival = best.get(candidate.id)
        if rival is None or (candidate.base or 0) >= (candidates[rival].base or 0):
            best[candidate.id] = i
            loser = rival
        else:
            loser = i
        if loser is not None:
            verdicts[loser] = Verdict(candidate.id, "conflict", None, [_Refusals.DUPLICATE])
    return sorted(best.values())


def _change(
    patient: Person, kind: Kind, rest: dict[int, Candidate], verdicts: dict[int, Verdict], received_at: datetime
) -> list[Row]:
    """Compares with what is stored and writes the differences; the rows as they now stand."""
    if all(c.base is not None or c.delete for c in rest.values()):
        counters.lock(patient_id=patient.id)  # the insert, which locks, was not needed
    current = rows.read(kind=kind, table=kind.db_table, patient=patient, ids=[c.id for c in rest.values()])
    stored = {row["id"]: row for row in current}
    told = {c.id: kind.stored(c.entry) for c in rest.values() if not c.delete}
    ring = keys.Ring([patient.id])
    said = {id for id, row in stored.items() if id in told and kind.says(row, told[id], ring=ring)}
    doubtful = [c.id for c in rest.values() if c.base is None and c.id in told and c.id in stored and c.id not in said]
    earlier = rows.read(kind=kind, table=kind.event_table, patient=patient, ids=doubtful) if doubtful else []
    said_before = {row["id"] for row in earlier if kind.says(row, told[row["id"]], ring=ring)}
    writes: dict[int, Candidate] = {}
    for i, candidate in rest.items():
        id = candidate.id
        verdict = _judge(candidate, stored.get(id), says=id in said, said_before=id in said_before)
        if verdict is None:
            writes[i] = candidate
        else:
            verdicts[i] = verdict
    fresh: list[Row] = []
    if writes:
        fresh = rows.update(patient=patient, kind=kind, candidates=list(writes.values()), received_at=received_at)
    written = {row["id"]: row for row in fresh}
    for i, candidate in writes.items():
        verdicts[i] = Verdict(candidate.id, "updated", written[candidate.id])
    return fresh


def _judge(candidate: Candidate, row: Row | None, *, says: bool, said_before: bool) -> Verdict | None:
    """The verdict when nothing is to be written; None when the candidate becomes the next version.

    `says` is whether the row says what the candidate says, `said_before` whether an earlier version did.
    """
    if row is None:
        refusal = _Refusals.TAKEN if candidate.base is None else _Refusals.UNKNOWN
        return Verdict(candidate.id, "rejected", None, [refusal])
    stands = says and row["deleted_at"] is None
    if candidate.base is not None:
        if candidate.base == row["version"]:
            return Verdict(candidate.id, "unchanged", row) if stands else None
        # The very change, sent again because its answer was lost: the version that it made still says the same.
        if candidate.base == row["version"] - 1 and stands:
            return Verdict(candidate.id, "unchanged", row)
        return Verdict(candidate.id, "conflict", row, [_Refusals.STALE])
    if candidate.delete:
        return None if row["deleted_at"] is None else Verdict(candidate.id, "unchanged", row)
    if says or said_before:
        return Verdict(candidate.id, "unchanged", row)
    if row["deleted_at"] is not None:
        return Verdict(candidate.id, "conflict", row, [_Refusals.DELETED])
    return None
