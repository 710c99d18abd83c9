"""Writing the logs: set-based, idempotent by the client's id, decided by version; twice is the same as once."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal

import orjson
from django.db import connection

from backend.accounts import counters
from backend.accounts.models import Person
from backend.aftercare import state
from backend.aftercare.entries import Entry
from backend.aftercare.kinds import Kind, row_fields
from backend.aftercare.models import Source
from backend.common.problems import FieldError

Outcome = Literal["created", "unchanged", "updated", "conflict", "rejected"]
Row = dict[str, Any]

# A phone's clock that is further off than this is no skew but nonsense; it is kept out of the column's range.
_MAX_SKEW = timedelta(days=36_500)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One entry that wants to be stored; `base` is the version that it was made from, if the client said so."""

    id: uuid.UUID
    entry: Entry
    base: int | None = None
    delete: bool = False


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
    created = _insert(patient, kind, [candidates[i] for i in fresh], received_at, source) if fresh else {}
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


def find(*, kind: Kind, patient_ids: Iterable[uuid.UUID], id: uuid.UUID) -> Row | None:
    """The row with this id if it belongs to one of the patients; a deleted one too."""
    columns = row_fields(kind)
    row: Row | None = (
        kind.model._default_manager.filter(patient_id__in=list(patient_ids), id=id).values(*columns).first()
    )
    return row


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


def _insert(
    patient: Person, kind: Kind, candidates: Sequence[Candidate], received_at: datetime, source: str
) -> dict[uuid.UUID, Row]:
    stored = [kind.stored(c.entry) for c in candidates]
    with connection.cursor() as cursor:
        cursor.execute(
            _insert_statement(kind),
            [
                patient.id, len(candidates),
                patient.id, source, len(candidates), received_at, received_at,
                _as_records(kind, candidates, stored, received_at),
            ],
        )  # fmt: skip
        numbers = dict(cursor.fetchall())
    # The rows as they stand, without reading back what was just written.
    common = {
        "version": 1, "received_at": received_at, "updated_at": received_at, "deleted_at": None, "source": source,
        "patient_id": patient.id,
    }  # fmt: skip
    names = [column.sql_name for column in kind.content]
    return {
        c.id: {
            "id": c.id,
            "change_number": numbers[c.id],
            "skew_ms": _skew_ms(c.entry, received_at),
            **common,
            **dict(zip(names, content, strict=True)),
        }
        for c, content in zip(candidates, stored, strict=True)
        if c.id in numbers
    }


@cache
def _insert_statement(kind: Kind) -> str:
    columns = ", ".join(c.sql_name for c in kind.content)
    given = ", ".join(f"u.{c.sql_name}" for c in kind.content)
    # Numbers that no row used leave a hole; a hole is harmless, for order is all that a reader asks of them.
    return (
        "WITH n AS (INSERT INTO accounts_patientcounter AS c (patient_id, value) VALUES (%s, %s) "  # noqa: S608
        "ON CONFLICT (patient_id) DO UPDATE SET value = c.value + excluded.value RETURNING value) "
        f"INSERT INTO {kind.db_table} "
        f"(id, patient_id, source, version, change_number, received_at, updated_at, skew_ms, {columns}) "
        f"SELECT u.id, %s, %s, 1, n.value - %s + u.place, %s, %s, u.skew_ms, {given} FROM n, {_records(kind)} "
        "ON CONFLICT (id) DO NOTHING RETURNING id, change_number"
    )


def _records(kind: Kind) -> str:
    """A parameter of JSON records as the table `u`, in their order; cheaper than an array for each column."""
    names = ", ".join(c.sql_name for c in kind.content)
    declared = ", ".join(c.declared for c in kind.content)
    return (
        f"ROWS FROM (json_to_recordset(%s::json) AS (id uuid, gone boolean, skew_ms bigint, {declared})) "
        f"WITH ORDINALITY AS u(id, gone, skew_ms, {names}, place)"
    )


def _as_records(
    kind: Kind, candidates: Sequence[Candidate], stored: Sequence[Sequence[Any]], received_at: datetime
) -> str:
    names = [c.sql_name for c in kind.content]
    records = [
        {"id": c.id, "gone": c.delete, "skew_ms": _skew_ms(c.entry, received_at)}
        | dict(zip(names, content, strict=True))
        for c, content in zip(candidates, stored, strict=True)
    ]
    return orjson.dumps(records, default=str).decode()


def _change(
    patient: Person, kind: Kind, rest: dict[int, Candidate], verdicts: dict[int, Verdict], received_at: datetime
) -> list[Row]:
    """Compares with what is stored and writes the differences; the rows as they now stand."""
    if all(c.base is not None or c.delete for c in rest.values()):
        counters.lock(patient_id=patient.id)  # the insert, which locks, was not needed
    current = _read(kind, kind.db_table, patient, [c.id for c in rest.values()])
    stored = {row["id"]: row for row in current}
    doubtful = [
        c.id for c in rest.values()
        if c.base is None and not c.delete and c.id in stored and not _says(kind, stored[c.id], c.entry)
    ]  # fmt: skip
    earlier: dict[uuid.UUID, list[Row]] = {}
    for row in _read(kind, kind.event_table, patient, doubtful) if doubtful else []:
        earlier.setdefault(row["id"], []).append(row)
    writes: dict[int, Candidate] = {}
    for i, candidate in rest.items():
        verdict = _judge(kind, candidate, stored.get(candidate.id), earlier.get(candidate.id, []))
        if verdict is None:
            writes[i] = candidate
        else:
            verdicts[i] = verdict
    rows = {row["id"]: row for row in _update(patient, kind, list(writes.values()), received_at)} if writes else {}
    for i, candidate in writes.items():
        verdicts[i] = Verdict(candidate.id, "updated", rows[candidate.id])
    return list(rows.values())


def _judge(kind: Kind, candidate: Candidate, row: Row | None, earlier: Sequence[Row]) -> Verdict | None:
    """The verdict when nothing is to be written; None when the candidate becomes the next version."""
    if row is None:
        refusal = _Refusals.TAKEN if candidate.base is None else _Refusals.UNKNOWN
        return Verdict(candidate.id, "rejected", None, [refusal])
    if candidate.base is not None:
        if candidate.base == row["version"]:
            same = not candidate.delete and _stands(kind, row, candidate.entry)
            return Verdict(candidate.id, "unchanged", row) if same else None
        # The very change, sent again because its answer was lost: the version that it made still says the same.
        if candidate.base == row["version"] - 1 and not candidate.delete and _stands(kind, row, candidate.entry):
            return Verdict(candidate.id, "unchanged", row)
        return Verdict(candidate.id, "conflict", row, [_Refusals.STALE])
    if candidate.delete:
        return None if row["deleted_at"] is None else Verdict(candidate.id, "unchanged", row)
    if any(_says(kind, version, candidate.entry) for version in [row, *earlier]):
        return Verdict(candidate.id, "unchanged", row)
    if row["deleted_at"] is not None:
        return Verdict(candidate.id, "conflict", row, [_Refusals.DELETED])
    return None


def _says(kind: Kind, row: Row, entry: Entry) -> bool:
    return kind.same([row[c.sql_name] for c in kind.content], kind.stored(entry))


def _stands(kind: Kind, row: Row, entry: Entry) -> bool:
    return row["deleted_at"] is None and _says(kind, row, entry)


def _read(kind: Kind, table: str, patient: Person, ids: Sequence[uuid.UUID]) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(row_fields(kind))} FROM {table} WHERE id = ANY(%s::uuid[]) AND patient_id = %s",  # noqa: S608
            [list(ids), patient.id],
        )
        return _rows(cursor, kind)


def _update(patient: Person, kind: Kind, candidates: Sequence[Candidate], received_at: datetime) -> list[Row]:
    last = counters.next_numbers(patient_id=patient.id, count=len(candidates))
    # A deletion keeps the content: the tombstone can be restored, and history knows what was there.
    changes = ", ".join(
        f"{c.sql_name} = CASE WHEN u.gone THEN t.{c.sql_name} ELSE u.{c.sql_name} END" for c in kind.content
    )
    returned = ", ".join(f"t.{name}" for name in row_fields(kind))
    sql = (
        f"UPDATE {kind.db_table} AS t SET {changes}, version = t.version + 1, "  # noqa: S608
        "change_number = %s - %s + u.place, updated_at = %s, deleted_at = CASE WHEN u.gone THEN %s::timestamptz END "
        f"FROM {_records(kind)} WHERE t.id = u.id AND t.patient_id = %s RETURNING {returned}"
    )
    stored = [kind.stored(c.entry) for c in candidates]
    records = _as_records(kind, candidates, stored, received_at)
    with connection.cursor() as cursor:
        cursor.execute(sql, [last, len(candidates), received_at, received_at, records, patient.id])
        return _rows(cursor, kind)


def _rows(cursor: Any, kind: Kind) -> list[Row]:
    names = row_fields(kind)
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _skew_ms(entry: Entry, received_at: datetime) -> int | None:
    """How far the phone's clock is behind ours, in ms; negative when it runs ahead."""
    if entry.sent_at is None:
        return None
    skew = max(-_MAX_SKEW, min(_MAX_SKEW, received_at - entry.sent_at))
    return round(skew / timedelta(milliseconds=1))
