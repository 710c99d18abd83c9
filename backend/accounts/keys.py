"""Each patient's data key: drawn at the first note, wrapped by a master key, forgotten at erasure.

Whether a key still exists is asked of the database in the transaction that uses it, so a forgotten one is gone in all
processes at once. What a process keeps for a while is only the result of unwrapping, found by the wrap itself.
"""

import time
import uuid
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from django.conf import settings
from django.db import connection
from django.utils.module_loading import import_string

from backend.accounts import counters
from backend.accounts.masters import DerivedMasters, FileMasters, MasterKeyUnavailable, Masters
from backend.accounts.models import DataKey
from backend.common import sealing
from backend.common.problems import Problem

# Ours: unwrapping by a file costs microseconds, by a service a request. Bounds memory and how long a secret is in it.
KEPT_SECONDS = 300.0
KEPT_KEYS = 4_096
# How long a writer may believe which key is current before its statement, which checks it, says otherwise.
BELIEVED_SECONDS = 60.0

T = TypeVar("T")


class Unavailable(Problem):
    """503: notes cannot be sealed now, so nothing is stored; the client keeps the record and sends it again."""

    def __init__(self) -> None:
        super().__init__(
            status=503,
            code="keys_unavailable",
            detail="Notes cannot be stored now: the keys for them are out of reach. Send the same again later.",
            headers={"Retry-After": "60"},
        )


class Forgotten(LookupError):
    """The patient has no such key (any more)."""


@dataclass(frozen=True, slots=True)
class Current:
    """The key under which a patient's notes are sealed now."""

    id: uuid.UUID
    generation: int
    key: sealing.DataKey


# For a statement that seals by a believed key: it finds no row when that key is no longer the current one.
STILL_CURRENT = "SELECT 1 FROM accounts_datakey WHERE id = %s AND retired_at IS NULL"


@cache
def masters() -> Masters:
    """Where the master keys are: behind a service, in a file, or, with DEBUG alone, drawn from SECRET_KEY."""
    if settings.NOTE_KEYS_SERVICE:
        service: Masters = import_string(settings.NOTE_KEYS_SERVICE)()
        return service
    path: str = settings.NOTE_KEYS_FILE
    return FileMasters(Path(path)) if path else DerivedMasters(settings.SECRET_KEY)


def bound_to(patient_id: uuid.UUID, generation: int) -> str:
    """What a wrap is bound to, so that one patient's does not open another's notes."""
    return f"data key\n{patient_id}\n{generation}"


def current(*, patient_id: uuid.UUID, now: datetime) -> Current:
    """The patient's current key as the database has it, made if there is none. Raises Unavailable."""
    found = _current(patient_id)
    if found is None:
        counters.next_numbers(patient_id=patient_id, count=0)  # so that of two first notes one makes the key
        found = _current(patient_id) or _make(patient_id, now)
    _believed.put(str(patient_id), found)
    return found


def believed(*, patient_id: uuid.UUID, now: datetime) -> Current:
    """The patient's current key as known for up to a minute; the caller's statement must check STILL_CURRENT.

    Raises Unavailable.
    """
    return _believed.get(str(patient_id)) or current(patient_id=patient_id, now=now)


def make_many(*, patient_ids: Iterable[uuid.UUID], now: datetime) -> dict[uuid.UUID, Current]:
    """The first keys of patients who are just being loaded and have none. Raises Unavailable."""
    return {patient_id: _make(patient_id, now) for patient_id in patient_ids}


def next_generation(*, patient_id: uuid.UUID, now: datetime) -> Current:
    """Retires the current key and makes the next one; the caller holds the patient's counter. Raises Unavailable."""
    DataKey.objects.filter(patient_id=patient_id, retired_at__isnull=True).update(retired_at=now)
    _believed.drop(str(patient_id))
    return _make(patient_id, now)


def forget(patient_id: uuid.UUID) -> int:
    """Deletes the patient's data keys: what is left of their notes anywhere in this database cannot be read again.

    A backup from before holds the wrapped key until it is removed (docs/backup.md). Returns how many. Runs in the
    caller's transaction, which also deletes the rows and lets the person write no more.
    """
    _believed.drop(str(patient_id))
    return DataKey.objects.filter(patient_id=patient_id).delete()[0]


class Ring:
    """The keys of some patients, read from the database in this transaction when first asked for."""

    def __init__(self, patient_ids: Iterable[uuid.UUID]) -> None:
        self._patients = list(set(patient_ids))
        self._wrapped: dict[tuple[uuid.UUID, int], str] = {}

    def key(self, patient_id: uuid.UUID, generation: int) -> sealing.DataKey:
        """One of them. Raises Forgotten, MasterKeyUnavailable, sealing.Unsealable."""
        # Read again for what is not there: it may have been made after the first look.
        if (patient_id, generation) not in self._wrapped:
            found = DataKey.objects.filter(patient_id__in=self._patients)
            rows = found.values_list("patient_id", "generation", "wrapped")
            self._wrapped = {(patient, number): wrapped for patient, number, wrapped in rows}
        wrapped = self._wrapped.get((patient_id, generation))
        if wrapped is None:
            raise Forgotten("The data key was forgotten.")
        return unwrapped(wrapped, patient_id=patient_id, generation=generation)


def unwrapped(wrapped: str, *, patient_id: uuid.UUID, generation: int) -> sealing.DataKey:
    """The key in a wrap. Raises MasterKeyUnavailable, sealing.Unsealable."""
    bound = bound_to(patient_id, generation)
    known = f"{bound}\n{wrapped}"
    key = _unwrapped.get(known)
    if key is None:
        key = sealing.DataKey(masters().unwrap(wrapped, bound=bound))
        _unwrapped.put(known, key)
    return key


def forget_unwrapped() -> None:
    """Drops what this process keeps: the next use asks the master keys again."""
    _unwrapped.clear()
    _believed.clear()


def _current(patient_id: uuid.UUID) -> Current | None:
    row = (
        DataKey.objects.filter(patient_id=patient_id, retired_at__isnull=True)
        .values_list("id", "generation", "wrapped")
        .first()
    )
    if row is None:
        return None
    try:
        return Current(row[0], row[1], unwrapped(row[2], patient_id=patient_id, generation=row[1]))
    except (MasterKeyUnavailable, sealing.Unsealable) as error:
        raise Unavailable from error


def _make(patient_id: uuid.UUID, now: datetime) -> Current:
    numbers = DataKey.objects.filter(patient_id=patient_id).values_list("generation", flat=True)
    generation, secret = max(numbers, default=0) + 1, sealing.draw()
    try:
        wrapped = masters().wrap(secret, bound=bound_to(patient_id, generation))
    except MasterKeyUnavailable as error:
        raise Unavailable from error
    id = uuid.uuid4()
    with connection.cursor() as cursor:  # as SQL, for a migration seals what was plain, whatever columns come later
        cursor.execute(
            "INSERT INTO accounts_datakey (id, patient_id, generation, wrapped, created_at) "
            "VALUES (%s, %s, %s, %s, %s)",
            [id, patient_id, generation, wrapped, now],
        )
    return Current(id, generation, sealing.DataKey(secret))


class _Kept(Generic[T]):
    """Values for a while, the least used of too many dropped; for the threads of one process."""

    def __init__(self, *, seconds: float, most: int) -> None:
        self._seconds, self._most = seconds, most
        self._values: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._lock = Lock()

    def get(self, name: str) -> T | None:
        with self._lock:
            until, value = self._values.get(name, (0.0, None))
            if value is None:
                return None
            if until < time.monotonic():
                del self._values[name]
                return None
            self._values.move_to_end(name)
            return value

    def put(self, name: str, value: T) -> None:
        with self._lock:
            self._values[name] = (time.monotonic() + self._seconds, value)
            self._values.move_to_end(name)
            while len(self._values) > self._most:
                self._values.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._values.clear()

    def drop(self, name: str) -> None:
        with self._lock:
            self._values.pop(name, None)


_unwrapped: _Kept[sealing.DataKey] = _Kept(seconds=KEPT_SECONDS, most=KEPT_KEYS)
_believed: _Kept[Current] = _Kept(seconds=BELIEVED_SECONDS, most=KEPT_KEYS)
