"""Notes on their way in and out: sealed before they reach a table, opened where rows become an answer."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from backend.accounts import keys
from backend.accounts.masters import MasterKeyUnavailable
from backend.common import problems, sealing
from backend.common.fields import Sealed
from backend.common.problems import FieldError
from backend.common.sealing import Place

UNREADABLE = "unreadable"  # the member of an answer that names the notes that could not be opened

log = structlog.get_logger(__name__)


def seal(text: str, *, by: keys.Current, place: Place) -> Sealed:
    """The text as it is stored; empty stays empty."""
    return Sealed(sealing.seal(text, key=by.key, generation=by.generation, place=place))


def says(stored: str, text: str, *, ring: keys.Ring, patient_id: uuid.UUID, place: Place) -> bool:
    """Whether the stored note says this text, told by its HMAC; one that cannot be told says something else."""
    if not isinstance(stored, Sealed) or not text:
        return stored == text
    try:
        key = ring.key(patient_id, sealing.generation_of(stored))
        return sealing.says(stored, text, key=key, place=place)
    except (keys.Forgotten, MasterKeyUnavailable, sealing.Unsealable):
        return False


def opened(table: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[dict[str, str | None]]:
    """For each row (with `id` and `patient_id`) its notes as text; None for one that cannot be read, never wrong text.

    What is not sealed (empty, or just written) passes. One query for the keys of all rows, none where nothing is
    sealed. What cannot be read stands in the log with its place and the reason.
    """
    ring = keys.Ring(row["patient_id"] for row in rows)
    return [
        {column: _opened(ring, row["patient_id"], Place(table, row["id"], column), row[column]) for column in columns}
        for row in rows
    ]


def unreadable(texts: Mapping[str, str | None]) -> list[str]:
    """Which of a row's opened notes could not be read."""
    return [column for column, text in texts.items() if text is None]


def refuse_to_lose(shown: Mapping[str, Any], *, given: Mapping[str, Any]) -> None:
    """A note that could not be read is not emptied by sending the record back. Raises a 400 problem."""
    unread = shown.get(UNREADABLE)
    for name in unread if isinstance(unread, list) else ():
        if isinstance(name, str) and name not in given:
            raise problems.invalid(
                FieldError(f"/{name}", "unreadable", f"{name} could not be read; say what it shall be, or leave it.")
            )


def _opened(ring: keys.Ring, patient_id: uuid.UUID, place: Place, value: str) -> str | None:
    if not isinstance(value, Sealed):
        return value
    try:
        key = ring.key(patient_id, sealing.generation_of(value))
        return sealing.unseal(value, key=key, place=place)
    except (keys.Forgotten, MasterKeyUnavailable, sealing.Unsealable) as error:
        log.error("note unreadable", table=place.table, row=str(place.row), column=place.column, reason=str(error))
        return None
