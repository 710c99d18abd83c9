"""What the dispatcher's statements over many rows have in common: binary arrays, new ids, and change numbers."""

import os
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import psycopg
from django.db import connections


def cursor() -> psycopg.Cursor[Any]:
    """A cursor on the dispatcher's connection whose statements are prepared and whose values travel in binary.

    Django's own puts the values into the text of each statement, which costs more than all else with hundreds of them.
    Inside `access.dispatching` only.
    """
    connection: psycopg.Connection[Any] = connections["dispatch"].connection
    return psycopg.Cursor(connection)


@lru_cache(maxsize=100)
def _in_binary(statement: str) -> str:
    return re.sub(r"%\((\w+)\)s", r"%(\1)b", statement)


def rows(cursor: psycopg.Cursor[Any], statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """What a statement answers."""
    return cursor.execute(_in_binary(statement), values, prepare=True, binary=True).fetchall()


def run(cursor: psycopg.Cursor[Any], statement: str, values: Mapping[str, Any]) -> None:
    """The same for a statement that answers nothing."""
    cursor.execute(_in_binary(statement), values, prepare=True)


def ids(count: int, *, now: datetime) -> list[uuid.UUID]:
    """New ids of version 7 (RFC 9562): those of one batch lie side by side in the index."""
    stamp = int(now.timestamp() * 1000) << 80
    noise = os.urandom(10 * count)
    return [
        uuid.UUID(int=stamp | 7 << 76 | (int.from_bytes(noise[i : i + 10]) & ~(0xF << 76) & ~(0xC << 60)) | 0x8 << 60)
        for i in range(0, 10 * count, 10)
    ]


class Numbers:
    """Change numbers of a batch: each change of a person takes a place; the batch then takes them all at once.

    Where a person is just writing there are none, and the change gets its number later (`dispatch.number`).
    """

    def __init__(self) -> None:
        self._count: Counter[uuid.UUID] = Counter()
        self._last: dict[uuid.UUID, int] = {}

    def place(self, person_id: uuid.UUID) -> int:
        """The place of one more change among those of this person, from 1."""
        self._count[person_id] += 1
        return self._count[person_id]

    def take(self, cursor: psycopg.Cursor[Any]) -> None:
        """Takes as many numbers as there are places."""
        people = sorted(self._count)
        found = rows(
            cursor,
            "SELECT * FROM reminders_take_numbers(%(people)s, %(counts)s)",
            {"people": people, "counts": [self._count[each] for each in people]},
        )
        self._last = dict(found)

    def of(self, people: Iterable[uuid.UUID], places: Iterable[int]) -> Sequence[int | None]:
        """The numbers at these places, None where the person's are taken later."""
        return [
            self._last[person] - self._count[person] + place if person in self._last else None
            for person, place in zip(people, places, strict=True)
        ]
