"""A made-up life as rows of the tables: columns, values, and the order in which the server learnt of them."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import connections, models

from backend.accounts import keys, notes
from backend.aftercare.models import ExerciseLog, MoodCheckIn, NutritionLog, PatientState, SleepLog, SubstanceLog
from backend.common.sealing import Place
from backend.demo.cast import Patient, id_of
from backend.demo.life import Life
from backend.treatment.models import Session, SessionStatus, SideEffect

ENTRY = ("id", "patient_id", "change_number", "received_at", "updated_at")
# The columns of each kind after those of ENTRY, in the order in which `_entries` gives them.
COLUMNS: dict[type[models.Model], tuple[str, ...]] = {
    MoodCheckIn: (
        "felt_at", "time_zone", "mood", "anxiety", "energy", "irritability", "craving", "clarity", "tags", "note",
    ),
    SleepLog: ("night_of", "asleep_at", "awake_at", "minutes_asleep", "quality", "awakenings"),
    ExerciseLog: ("started_at", "time_zone", "kind", "minutes", "intensity", "steps", "distance_m"),
    NutritionLog: ("day", "meals", "water_ml", "quality"),
    SubstanceLog: ("day", "substance", "used", "amount", "unit", "craving", "triggers", "what_helped"),
    SideEffect: ("kind", "severity", "started_at", "ended_at", "session_id"),
    Session: ("clinic_id", "planned_at", "started_at", "ended_at", "status", "route", "dose_mg", "weight_kg"),
}  # fmt: skip
NOTES: dict[type[models.Model], tuple[str, ...]] = {MoodCheckIn: ("note",), SubstanceLog: ("what_helped",)}
LOGS = (MoodCheckIn, SleepLog, ExerciseLog, NutritionLog, SubstanceLog, SideEffect)


class AlreadyLoaded(Exception):
    """What is to be loaded stands in the database."""


def in_order_of_arrival(patient: Patient, told: Life) -> list[tuple[type[models.Model], tuple[Any, ...]]]:
    """(model, (id, arrived at, …COLUMNS)) in the order in which the server learnt of them."""
    return sorted(_entries(patient, told), key=lambda entry: (entry[1][1], entry[1][0].bytes))


def _entries(patient: Patient, told: Life) -> Iterable[tuple[type[models.Model], tuple[Any, ...]]]:
    zone, clinic = patient.profile.time_zone, id_of("clinic", patient.house)

    def ids(kind: str, count: int) -> list[UUID]:
        return [id_of(kind, patient.key, position) for position in range(count)]

    for new, c in zip(ids("mood", len(told.check_ins)), told.check_ins, strict=True):
        yield MoodCheckIn, (new, c.received_at, c.felt_at, zone, *c[2:])
    for new, n in zip(ids("sleep", len(told.nights)), told.nights, strict=True):
        yield SleepLog, (new, n.received_at, n.night_of, *n[2:])
    for new, b in zip(ids("move", len(told.bouts)), told.bouts, strict=True):
        yield ExerciseLog, (new, b.received_at, b.started_at, zone, *b[2:])
    for new, m in zip(ids("food", len(told.meals)), told.meals, strict=True):
        yield NutritionLog, (new, m.received_at, m.day, *m[2:])
    for new, a in zip(ids("substance", len(told.answers)), told.answers, strict=True):
        yield SubstanceLog, (new, a.received_at, a.day, *a[2:])
    sessions = ids("session", len(told.sessions))
    for new, s in zip(sessions, told.sessions, strict=True):
        status = SessionStatus.PLANNED if s.started_at is None else SessionStatus.SIGNED
        yield Session, (
            new, s.arrived_at, clinic, s.planned_at, s.started_at, s.ended_at, status.value, patient.profile.route,
            s.dose_mg, patient.profile.weight_kg,
        )  # fmt: skip
    for new, e in zip(ids("effect", len(told.effects)), told.effects, strict=True):
        yield SideEffect, (new, e.received_at, e.kind, e.severity, e.started_at, e.ended_at, sessions[e.session])


def sealed(model: type[models.Model], row: tuple[Any, ...], *, by: keys.Current) -> tuple[Any, ...]:
    """The row (ENTRY and COLUMNS) with its notes sealed, as they go into the table."""
    names, table = (*ENTRY, *COLUMNS[model]), model._meta.db_table
    return tuple(
        notes.seal(value, by=by, place=Place(table, row[0], name)) if name in NOTES.get(model, ()) else value
        for name, value in zip(names, row, strict=True)
    )


def analyse() -> None:
    """Tells PostgreSQL's planner what has come; only the owner of the tables may."""
    filled: list[type[models.Model]] = [*COLUMNS, PatientState]
    tables = ", ".join(model._meta.db_table for model in filled)
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"ANALYZE {tables}")
