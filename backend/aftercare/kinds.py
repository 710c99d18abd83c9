"""The registry of logs: a new kind is a model, a body shape and one line here; lists, sync and exports pick it up."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, cached_property
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import connection, models

from backend.accounts import holdings, keys, notes
from backend.accounts.isolation import Share
from backend.accounts.models import Person
from backend.aftercare import entries
from backend.aftercare.entries import Entry
from backend.aftercare.models import ExerciseLog, Log, MoodCheckIn, NutritionLog, SleepLog, SubstanceLog
from backend.common.fields import NoteField
from backend.common.problems import FieldError
from backend.common.sealing import Place


@dataclass(frozen=True)
class Column:
    """One column of what the patient said: how it travels to the database and back, and when it is the same."""

    name: str
    field: "models.Field[Any, Any]"

    @cached_property
    def sql_name(self) -> str:
        """The column's name in the table."""
        return str(self.field.column)

    @cached_property
    def declared(self) -> str:
        """Name and type, as a batch's records declare them to the database."""
        return f"{self.sql_name} {self.field.rel_db_type(connection)}"

    def clean(self, value: Any) -> Any:
        """The value as it is stored: instants in UTC, codes as words, nothing as the column's own nothing."""
        if value is None:
            return self.nothing
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        if isinstance(self.field, models.DecimalField):
            return round(Decimal(str(value)), self.field.decimal_places)
        return value

    @cached_property
    def nothing(self) -> Any:
        """What an absent value is in this column."""
        if isinstance(self.field, ArrayField):
            return []
        return "" if isinstance(self.field, models.CharField | models.TextField) and not self.field.null else None

    @cached_property
    def is_note(self) -> bool:
        """Whether it is free text, which is stored sealed."""
        return isinstance(self.field, NoteField)


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of log."""

    path: str
    table: str
    model: type[Log]
    shape: type[Entry]
    own_time: str
    share: Share
    # What only the database can tell: for each position with a fault, its errors.
    refusals: Callable[[Person, Mapping[int, Any]], dict[int, list[FieldError]]] | None = None
    # Called in the transaction of a write with the patient, the rows as stored and the instant of receipt.
    after_write: tuple[Callable[[Person, Sequence[dict[str, Any]], datetime], None], ...] = field(default=())

    @cached_property
    def content(self) -> tuple[Column, ...]:
        """What the patient said, without id, version and the like."""
        names = [name for name in self.shape.__struct_fields__ if name not in {"id", "sent_at"}]
        return tuple(Column(name, self.model._meta.get_field(name)) for name in names)  # type: ignore[arg-type]

    @cached_property
    def db_table(self) -> str:
        """The table's name in the database."""
        return self.model._meta.db_table

    @cached_property
    def event_table(self) -> str:
        """The table that keeps earlier versions."""
        return f"{self.db_table}event"

    @cached_property
    def by_date(self) -> bool:
        """Whether the kind's own time is a date and not an instant."""
        return not isinstance(self.model._meta.get_field(self.own_time), models.DateTimeField)

    def stored(self, entry: Entry) -> tuple[Any, ...]:
        """The entry's content as it is stored, in the order of `content`."""
        return tuple(column.clean(getattr(entry, column.name)) for column in self.content)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """The columns that are stored sealed."""
        return tuple(column.sql_name for column in self.content if column.is_note)

    def sealed(self, id: uuid.UUID, content: Sequence[Any], *, by: keys.Current) -> list[Any]:
        """The content of this row as it goes into the table."""
        return [
            notes.seal(value, by=by, place=Place(self.db_table, id, column.sql_name)) if column.is_note else value
            for column, value in zip(self.content, content, strict=True)
        ]

    def says(self, row: Mapping[str, Any], content: Sequence[Any], *, ring: keys.Ring) -> bool:
        """Whether a row, or an earlier version of it, says this; notes are compared without opening them."""
        plain = [(c, v) for c, v in zip(self.content, content, strict=True) if not c.is_note]
        if not all(row[column.sql_name] == value for column, value in plain):
            return False
        return all(
            notes.says(
                row[column.sql_name],
                value,
                ring=ring,
                patient_id=row["patient_id"],
                place=Place(self.db_table, row["id"], column.sql_name),
            )
            for column, value in zip(self.content, content, strict=True)
            if column.is_note
        )


_SERVER_FIELDS = (
    "id",
    "version",
    "change_number",
    "received_at",
    "updated_at",
    "deleted_at",
    "source",
    "skew_ms",
    "patient_id",
)


@cache
def row_fields(kind: Kind) -> tuple[str, ...]:
    """The columns of a row as it is read, server's first."""
    return _SERVER_FIELDS + tuple(column.sql_name for column in kind.content)


def as_json(kind: Kind, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as the API shows it, its notes opened."""
    return all_as_json(kind, [row])[0]


def all_as_json(kind: Kind, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows as the API shows them; at most one query for the keys of all their notes.

    A note that cannot be read is null and named in `unreadable`, a member that other records do not have.
    """
    texts = notes.opened(kind.db_table, rows, kind.notes)
    return [_as_json(kind, row, opened) for row, opened in zip(rows, texts, strict=True)]


def _as_json(kind: Kind, row: Mapping[str, Any], texts: Mapping[str, str | None]) -> dict[str, Any]:
    body: dict[str, Any] = {"id": row["id"], "patient": row["patient_id"]}
    for column in kind.content:
        value = texts[column.sql_name] if column.is_note else row[column.sql_name]
        body[column.name] = float(value) if isinstance(value, Decimal) else value
    for name in ("version", "change_number", "received_at", "updated_at", "source", "skew_ms"):
        body[name] = row[name]
    if unreadable := notes.unreadable(texts):
        body[notes.UNREADABLE] = unreadable
    return body


def without_notes(kind: Kind, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as a caregiver sees it: what was answered, and not what was written."""
    return as_json(kind, {**row, **dict.fromkeys(kind.notes, "")})


_KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Adds a kind, and that it is held about its patient; a room above registers its own at start-up, once."""
    if kind.path in _KINDS:
        raise ValueError(f"{kind.path} is registered already.")
    _KINDS[kind.path] = kind
    holdings.register(
        *holdings.with_history(
            kind.model, "patient_id", section=kind.table, for_clinicians=True, kind=kind.table, own_time=kind.own_time
        )
    )


def kinds() -> Iterable[Kind]:
    """All kinds, in the order of registration."""
    return tuple(_KINDS.values())


def by_path(path: str) -> Kind:
    """The kind at this address. Raises KeyError."""
    return _KINDS[path]


def new_id() -> uuid.UUID:
    """An id for a record whose client gave none."""
    return uuid.uuid4()


def register_own(*, after_check_in: Callable[[Person, Sequence[dict[str, Any]], datetime], None]) -> None:
    """The kinds that this room owns."""
    register(
        Kind(
            "mood-check-ins",
            "mood_check_ins",
            MoodCheckIn,
            entries.MoodCheckInEntry,
            "felt_at",
            Share.MOOD,
            after_write=(after_check_in,),
        )
    )
    register(Kind("sleep-logs", "sleep_logs", SleepLog, entries.SleepEntry, "night_of", Share.SLEEP))
    register(Kind("exercise-logs", "exercise_logs", ExerciseLog, entries.ExerciseEntry, "started_at", Share.EXERCISE))
    register(Kind("nutrition-logs", "nutrition_logs", NutritionLog, entries.NutritionEntry, "day", Share.NUTRITION))
    register(Kind("substance-logs", "substance_logs", SubstanceLog, entries.SubstanceEntry, "day", Share.SUBSTANCES))
