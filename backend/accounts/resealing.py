"""New keys under traffic: data keys wrapped by another master key, notes sealed under another data key.

All of it runs as the owner under a maintenance purpose, since a key may go only when nobody at all needs it.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import pgtrigger
import structlog
from django.apps import apps
from django.db import connection

from backend.accounts import access, counters, keys, notes
from backend.accounts.masters import MasterKeyUnavailable
from backend.accounts.models import DataKey
from backend.common import clock, sealing
from backend.common.fields import NoteField
from backend.common.sealing import Place

BATCH = 500  # rows in one transaction: a fraction of a second, so that no writer waits for long

Progress = Callable[[int, int], None]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Column:
    """A column of notes. An earlier version's row (in an event table) has a key of its own beside the row's id."""

    table: str
    origin: str
    key: str
    patient: str
    name: str


@dataclass
class Tally:
    """What was done, and what could not be."""

    done: int = 0
    notes: int = 0
    failed: list[uuid.UUID] = field(default_factory=list)


def columns() -> Iterator[Column]:
    """All columns of notes, those of the history too."""
    for model in apps.get_models():
        tracked: Any = getattr(model, "pgh_tracked_model", None)
        origin = (tracked or model)._meta.db_table
        if model._meta.managed and not model._meta.proxy:
            for column in model._meta.concrete_fields:
                if isinstance(column, NoteField):
                    names = {field.column for field in model._meta.concrete_fields}
                    yield Column(
                        model._meta.db_table,
                        origin,
                        "pgh_id" if tracked else "id",
                        "patient_id" if "patient_id" in names else "person_id",
                        str(column.column),
                    )


def rotate(*, progress: Progress = lambda done, total: None) -> Tally:
    """Wraps each data key by the current master key that another one wrapped; notes stay as they are.

    May be broken off and run again. `failed` are the patients whose keys no known master key opens.
    """
    tally, wanted = Tally(), f"{sealing.WRAPPED}{keys.masters().current}."
    with access.maintaining("rotate keys"):
        total = DataKey.objects.exclude(wrapped__startswith=wanted).count()
    progress(0, total)
    after = uuid.UUID(int=0)
    while True:
        with access.maintaining("rotate keys"):
            found = DataKey.objects.exclude(wrapped__startswith=wanted).filter(id__gt=after).order_by("id")[:BATCH]
            for row in found:
                after = row.id
                _rewrap(row, tally)
        if not found:
            return tally
        progress(tally.done, total)


def _rewrap(row: DataKey, tally: Tally) -> None:
    bound = keys.bound_to(row.patient_id, row.generation)
    try:
        secret = keys.masters().unwrap(row.wrapped, bound=bound)
        wrapped = keys.masters().wrap(secret, bound=bound)
        if keys.masters().unwrap(wrapped, bound=bound) != secret:
            raise sealing.Unsealable("The new wrap does not give the key back.")
    except (MasterKeyUnavailable, sealing.Unsealable) as error:
        log.error("data key cannot be wrapped anew", data_key=str(row.id), reason=str(error))
        tally.failed.append(row.patient_id)
        return
    # A key that was forgotten meanwhile stays forgotten.
    tally.done += DataKey.objects.filter(id=row.id, wrapped=row.wrapped).update(wrapped=wrapped)


def reencrypt(
    *, made_before: datetime, now: datetime, patient: uuid.UUID | None = None, progress: Progress = lambda *_: None
) -> Tally:
    """Gives each patient whose key was made before then a new data key, and seals all of their notes under it.

    One patient a transaction, in which their writers wait; readers never do. The earlier key stays, retired, until
    `drop_retired`. `failed` are patients with notes that could not be opened; those stay as they are.
    """
    tally = Tally()
    with access.maintaining("reencrypt notes"):
        found = DataKey.objects.filter(retired_at__isnull=True, created_at__lt=made_before)
        found = found.filter(patient_id=patient) if patient else found
        patients = list(found.order_by("patient_id").values_list("patient_id", flat=True))
    progress(0, len(patients))
    for patient_id in patients:
        with access.maintaining("reencrypt notes"):
            counters.next_numbers(patient_id=patient_id, count=0)
            if not found.filter(patient_id=patient_id).exists():
                continue  # forgotten, or done by another run
            key = keys.next_generation(patient_id=patient_id, now=now)
            _reseal(patient_id, key, tally)
        tally.done += 1
        progress(tally.done, len(patients))
    return tally


def drop_retired(*, patience_s: float) -> tuple[int, int]:
    """Deletes the keys that were retired before this call; returns how many, and how many have to stay.

    A reader may be between a note and its key, a writer may hold the key that was current a moment ago: so it waits, at
    most `patience_s` seconds, until each transaction of the application that began before now has ended, and then seals
    anew what such a writer left.
    """
    gone, until = 0, time.monotonic() + patience_s
    while True:
        settled_at, others_since = _clocks()
        while others_since is not None and others_since <= settled_at and time.monotonic() < until:
            time.sleep(0.05)
            _, others_since = _clocks()
        if others_since is None or others_since > settled_at:
            gone += sum(_drop_of(patient_id) for patient_id in _with_retired())
        if not (left := len(_with_retired())) or time.monotonic() >= until:
            return gone, left


def _with_retired() -> list[uuid.UUID]:
    with access.maintaining("reencrypt notes"):
        retired = DataKey.objects.filter(retired_at__isnull=False)
        return list(retired.order_by("patient_id").values_list("patient_id", flat=True).distinct())


def _drop_of(patient_id: uuid.UUID) -> int:
    with access.maintaining("reencrypt notes"):
        counters.next_numbers(patient_id=patient_id, count=0)
        found = DataKey.objects.filter(patient_id=patient_id)
        if not found.filter(retired_at__isnull=True).exists():
            return 0  # forgotten meanwhile
        tally = Tally()
        _reseal(patient_id, keys.current(patient_id=patient_id, now=clock.now()), tally)
        if tally.notes or tally.failed:
            return 0  # what was found late is settled only in the next round; what cannot be opened keeps its key
        return found.filter(retired_at__isnull=False).delete()[0]


def _clocks() -> tuple[datetime, datetime | None]:
    """The database's clock, and since when the oldest other transaction of the application's role runs."""
    with access.acting_as(None, None, "reencrypt notes"), connection.cursor() as cursor:
        cursor.execute(
            "SELECT clock_timestamp(), min(xact_start) FILTER (WHERE pid <> pg_backend_pid()) FROM pg_stat_activity "
            "WHERE usename = current_user AND datname = current_database()"
        )
        found: tuple[datetime, datetime | None] = cursor.fetchone()
        return found


def _reseal(patient_id: uuid.UUID, key: keys.Current, tally: Tally) -> None:
    """Seals all notes of the patient that another generation sealed. What says the same is no new version."""
    ring = keys.Ring([patient_id])
    with pgtrigger.ignore():
        for column in columns():
            fresh = []
            for place_key, row, value in _sealed_by_others(column, patient_id, key.generation):
                place = Place(column.origin, row, column.name)
                try:
                    opener = ring.key(patient_id, sealing.generation_of(value))
                    text = sealing.unseal(value, key=opener, place=place)
                except (keys.Forgotten, MasterKeyUnavailable, sealing.Unsealable) as error:
                    log.error("note unreadable", **place._asdict() | {"row": str(row), "reason": str(error)})
                    tally.failed.append(patient_id)
                    continue
                fresh.append((place_key, value, notes.seal(text, by=key, place=place)))
            tally.notes += _replace(column, fresh)


def _sealed_by_others(column: Column, patient_id: uuid.UUID, generation: int) -> list[tuple[Any, uuid.UUID, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {column.key}, id, {column.name} FROM {column.table} "  # noqa: S608 - names of our own models
            f"WHERE {column.patient} = %s AND {column.name} <> '' AND {column.name} NOT LIKE %s",
            [patient_id, f"{sealing.SEALED}{generation}.%"],
        )
        return list(cursor.fetchall())


def _replace(column: Column, values: Sequence[tuple[Any, str, str]]) -> int:
    """Writes the new values where the old ones still stand; how many."""
    replaced = 0
    for start in range(0, len(values), BATCH):
        some = [{"key": str(key), "was": was, "note": note} for key, was, note in values[start : start + BATCH]]
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {column.table} AS t SET {column.name} = u.note "  # noqa: S608
                "FROM json_to_recordset(%s::json) AS u(key text, was text, note text) "
                f"WHERE t.{column.key} = u.key::{'bigint' if column.key == 'pgh_id' else 'uuid'} "
                f"AND t.{column.name} = u.was",
                [orjson.dumps(some).decode()],
            )
            replaced += cursor.rowcount
    return replaced
