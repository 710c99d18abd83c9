"""Writes a life into the database for tests of trends: rows as their owners' rooms would leave them."""

import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from backend.accounts import access, keys, notes
from backend.accounts.models import Clinic, Person
from backend.aftercare.models import (
    Appointment,
    ExerciseLog,
    MoodCheckIn,
    NutritionLog,
    Occurrence,
    SleepLog,
    SubstanceLog,
)
from backend.common.sealing import Place
from backend.treatment.models import Session, SideEffect


class Diary:
    """One patient's rows. Every method opens the door by itself, so that what it writes is committed."""

    def __init__(self, patient: Person, clinic: Clinic) -> None:
        self.patient, self.clinic = patient, clinic
        self._number = 0

    def _row(self, at: datetime, **more: Any) -> dict[str, Any]:
        self._number += 1
        return {
            "id": uuid.uuid4(), "change_number": self._number, "received_at": at, "updated_at": at, **more,
        }  # fmt: skip

    def _put(self, model: Any, at: datetime, **fields: Any) -> Any:
        row = self._row(at, **fields)
        with access.acting_as(None, self.clinic.id, "diary"):
            if row.get("note"):
                place = Place(model._meta.db_table, row["id"], "note")
                row["note"] = notes.seal(row["note"], by=keys.current(patient_id=self.patient.id, now=at), place=place)
            return model.objects.create(patient=self.patient, **row)

    def mood(self, at: datetime, mood: int, **more: Any) -> MoodCheckIn:
        """A check-in."""
        row: MoodCheckIn = self._put(MoodCheckIn, at, felt_at=at, time_zone=self.patient.time_zone, mood=mood, **more)
        return row

    def moods(self, *, last: datetime, days: int, mood: int) -> None:
        """One check-in a day, at the same time of day, the last one at `last`."""
        with access.acting_as(None, self.clinic.id, "diary"):
            MoodCheckIn.objects.bulk_create(
                MoodCheckIn(
                    patient=self.patient, felt_at=at, time_zone=self.patient.time_zone, mood=mood, **self._row(at)
                )
                for at in (last - timedelta(days=n) for n in range(days))
            )

    def sleep(self, night_of: date, at: datetime, **fields: Any) -> SleepLog:
        """A night."""
        row: SleepLog = self._put(SleepLog, at, night_of=night_of, **fields)
        return row

    def exercise(self, at: datetime, minutes: int, **more: Any) -> ExerciseLog:
        """A bout of movement."""
        zone = self.patient.time_zone
        row: ExerciseLog = self._put(
            ExerciseLog, at, started_at=at, minutes=minutes, kind="walk", time_zone=zone, **more
        )
        return row

    def food(self, day: date, at: datetime, **fields: Any) -> NutritionLog:
        """A day's meals."""
        row: NutritionLog = self._put(NutritionLog, at, day=day, **fields)
        return row

    def substance(self, day: date, at: datetime, substance: str, used: bool, **more: Any) -> SubstanceLog:
        """An answer to 'did you use it today?'."""
        row: SubstanceLog = self._put(SubstanceLog, at, day=day, substance=substance, used=used, **more)
        return row

    def side_effect(self, at: datetime, kind: str, *, minutes: int | None = None, **more: Any) -> SideEffect:
        """A mild side effect, still there without `minutes`."""
        ended = None if minutes is None else at + timedelta(minutes=minutes)
        row: SideEffect = self._put(SideEffect, at, started_at=at, ended_at=ended, kind=kind, severity=1, **more)
        return row

    def session(self, at: datetime, *, status: str = "held", dose: str = "40.0", **more: Any) -> Session:
        """A session: held at the instant, or planned for it."""
        started = None if status == "planned" else at
        row: Session = self._put(
            Session, at, clinic=self.clinic, planned_at=at, started_at=started, status=status, route="iv",
            dose_mg=Decimal(dose), **more,
        )  # fmt: skip
        return row

    def appointment(
        self, at: datetime, *, kind: str = "follow_up", with_person: Person | None = None, status: str = "planned"
    ) -> Appointment:
        """A single appointment with its one occurrence."""
        zone = self.patient.time_zone
        row: Appointment = self._put(
            Appointment, at, clinic=self.clinic, kind=kind, starts_at=at, time_zone=zone, minutes=30,
            with_person=with_person, status=status, expanded_until_at=at,
        )  # fmt: skip
        with access.acting_as(None, self.clinic.id, "diary"):
            Occurrence.objects.create(
                appointment=row, patient=self.patient, original_starts_at=at, starts_at=at, status=status
            )
        return row
