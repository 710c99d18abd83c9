"""What the dispatcher's statements over many rows have in common: binary arrays, new ids, and change numbers."""

import os
import re
import uuid
from collections.abc import Mapping, Sequence
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


# The dispatcher's statements are planned anew each time, for what they are given. So is, for each row, the look of a
# foreign key; here it is planned once, and the statement, which is not prepared, still for what it is given.
_KEYS_PLANNED_ONCE = "SET LOCAL plan_cache_mode = auto"


def insert(cursor: psycopg.Cursor[Any], statement: str, values: Mapping[str, Any]) -> None:
    """The same for a statement that inserts rows with foreign keys; plans may be kept until its transaction ends."""
    cursor.execute(_KEYS_PLANNED_ONCE)
    cursor.execute(_in_binary(statement), values, prepare=False)


def ids(count: int, *, now: datetime) -> list[uuid.UUID]:
    """New ids of version 7 (RFC 9562): those of one batch lie side by side in the index."""
    stamp = int(now.timestamp() * 1000) << 80
    noise = os.urandom(10 * count)
    return [
        uuid.UUID(int=stamp | 7 << 76 | (int.from_bytes(noise[i : i + 10]) & ~(0xF << 76) & ~(0xC << 60)) | 0x8 << 60)
        for i in range(0, 10 * count, 10)
    ]


def id_prefix(*, now: datetime) -> str:
    """The first 28 of 32 hexadecimal digits of new ids of version 7, for a statement that counts in the other four.

    A counter after random bits, RFC 9562, 6.2: a batch of ids costs less than their passage to the server.
    """
    return ids(1, now=now)[0].hex[:28]


def take_numbers(cursor: psycopg.Cursor[Any], people: Sequence[uuid.UUID], counts: Sequence[int]) -> list[int | None]:
    """The first change number of each of these changes of people, of which each takes as many as told.

    None where its person is just writing: that change gets its number later (`dispatch.number`).
    """
    which: dict[uuid.UUID, int] = {}
    totals: list[int] = []
    taken: list[tuple[int, int]] = []
    for person, count in zip(people, counts, strict=True):
        place = which.setdefault(person, len(totals))
        if place == len(totals):
            totals.append(0)
        taken.append((place, totals[place]))
        totals[place] += count
    asked = {"people": list(which), "counts": totals}
    last = dict(rows(cursor, "SELECT * FROM reminders_take_numbers(%(people)s, %(counts)s)", asked))
    first = [last[person] - total + 1 if person in last else None for person, total in zip(which, totals, strict=True)]
    return [None if (start := first[place]) is None else start + before for place, before in taken]
