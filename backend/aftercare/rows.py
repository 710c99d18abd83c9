"""The rows of the logs as they go into the tables and come back: set-based, one statement for any number of entries."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import orjson
from django.db import connection

from backend.accounts import counters, keys
from backend.accounts.models import Person
from backend.aftercare.entries import Entry
from backend.aftercare.kinds import Kind, row_fields
from backend.common.fields import Sealed

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


def find(*, kind: Kind, patient_ids: Iterable[uuid.UUID], id: uuid.UUID) -> Row | None:
    """The row with this id if it belongs to one of the patients; a deleted one too."""
    columns = row_fields(kind)
    row: Row | None = (
        kind.model._default_manager.filter(patient_id__in=list(patient_ids), id=id).values(*columns).first()
    )
    return row


def insert(
    *, patient: Person, kind: Kind, candidates: Sequence[Candidate], received_at: datetime, source: str
) -> dict[uuid.UUID, Row]:
    """Inserts what is new under one number after the other, its notes sealed; the new rows by id, their notes plain.

    The patient's counter is locked from here on. Raises keys.Unavailable.
    """
    content = {c.id: kind.stored(c.entry) for c in candidates}
    key = None
    if any(value for values in content.values() for value in _notes(kind, values)):
        key = keys.believed(patient_id=patient.id, now=received_at)
    numbers = _insert_rows(patient, kind, candidates, content, key, received_at, source)
    if numbers is None:  # the key that was believed to be current is not; this one is, for the counter is locked by now
        key = keys.current(patient_id=patient.id, now=received_at)
        numbers = _insert_rows(patient, kind, candidates, content, key, received_at, source) or {}
    # The rows as they stand, without reading back what was just written; their notes are plain here.
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
            **dict(zip(names, content[c.id], strict=True)),
        }
        for c in candidates
        if c.id in numbers
    }


def _notes(kind: Kind, content: Sequence[Any]) -> list[Any]:
    return [value for column, value in zip(kind.content, content, strict=True) if column.is_note]


def _insert_rows(
    patient: Person,
    kind: Kind,
    candidates: Sequence[Candidate],
    content: Mapping[uuid.UUID, Sequence[Any]],
    key: keys.Current | None,
    received_at: datetime,
    source: str,
) -> dict[uuid.UUID, int] | None:
    """The change numbers of the rows that are new, by id; None, and nothing written, when the key is not current."""
    if key is not None:
        content = {id: kind.sealed(id, values, by=key) for id, values in content.items()}
    records = _as_records(kind, candidates, [content[c.id] for c in candidates], received_at)
    count = len(candidates)
    given: list[Any] = [patient.id, source, count, received_at, received_at, records]
    with connection.cursor() as cursor:
        cursor.execute(
            _insert_statement(kind, sealed=key is not None),
            [patient.id, count, *([key.id] if key is not None else []), *given],
        )
        rows = cursor.fetchall()
    if key is not None and not rows[0][0]:
        return None
    return {id: number for _, id, number in rows if id is not None}


@cache
def _insert_statement(kind: Kind, *, sealed: bool) -> str:
    """Takes numbers and inserts in one statement; answers (1 if the key is current, id, number), at least one row."""
    columns = ", ".join(c.sql_name for c in kind.content)
    given = ", ".join(f"u.{c.sql_name}" for c in kind.content)
    # Numbers that no row used leave a hole; a hole is harmless, for order is all that a reader asks of them.
    return (
        "WITH n AS (INSERT INTO accounts_patientcounter AS c (patient_id, value) VALUES (%s, %s) "  # noqa: S608
        "ON CONFLICT (patient_id) DO UPDATE SET value = c.value + excluded.value RETURNING value), "
        f"k AS ({keys.STILL_CURRENT if sealed else 'SELECT 1'}), "
        f"i AS (INSERT INTO {kind.db_table} "
        f"(id, patient_id, source, version, change_number, received_at, updated_at, skew_ms, {columns}) "
        f"SELECT u.id, %s, %s, 1, n.value - %s + u.place, %s, %s, u.skew_ms, {given} FROM n, k, {_records(kind)} "
        "ON CONFLICT (id) DO NOTHING RETURNING id, change_number) "
        "SELECT f.found, i.id, i.change_number FROM (SELECT count(*) AS found FROM k) AS f LEFT JOIN i ON true"
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


def read(*, kind: Kind, table: str, patient: Person, ids: Sequence[uuid.UUID]) -> list[Row]:
    """The patient's rows with these ids in the kind's table or in the one that keeps earlier versions; notes sealed."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(row_fields(kind))} FROM {table} WHERE id = ANY(%s::uuid[]) AND patient_id = %s",  # noqa: S608
            [list(ids), patient.id],
        )
        return _rows(cursor, kind)


def update(*, patient: Person, kind: Kind, candidates: Sequence[Candidate], received_at: datetime) -> list[Row]:
    """Writes the next versions, their notes sealed; the rows as they now stand. Raises keys.Unavailable."""
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
    # What is deleted keeps its content as it is, so there is nothing to say of it.
    content = [[None] * len(kind.content) if c.delete else kind.stored(c.entry) for c in candidates]
    if any(value for values in content for value in _notes(kind, values)):
        key = keys.current(patient_id=patient.id, now=received_at)
        content = [
            values if c.delete else kind.sealed(c.id, values, by=key)
            for c, values in zip(candidates, content, strict=True)
        ]
    records = _as_records(kind, candidates, content, received_at)
    with connection.cursor() as cursor:
        cursor.execute(sql, [last, len(candidates), received_at, received_at, records, patient.id])
        return _rows(cursor, kind)


def _rows(cursor: Any, kind: Kind) -> list[Row]:
    names = row_fields(kind)
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for row in rows:
        for name in kind.notes:
            row[name] = Sealed(row[name]) if row[name] else ""
    return rows


def _skew_ms(entry: Entry, received_at: datetime) -> int | None:
    """How far the phone's clock is behind ours, in ms; negative when it runs ahead."""
    if entry.sent_at is None:
        return None
    skew = max(-_MAX_SKEW, min(_MAX_SKEW, received_at - entry.sent_at))
    return round(skew / timedelta(milliseconds=1))
