"""The shapes in which phones send log entries; one struct for each kind, with what types alone do not say."""

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from msgspec import Meta

from backend.aftercare.models import Intensity, Substance
from backend.common.bodies import Instant, Score, Struct, Text, Word, ZoneName, choice, not_in_future
from backend.common.problems import FieldError

# A phone's clock may run ahead this far (API.md, 'The logs').
CLOCK_GRACE = timedelta(minutes=5)
# The date line: somewhere on earth it is already tomorrow.
EASTMOST = timedelta(hours=14)

Tags = Annotated[list[Word], Meta(max_length=10)]
Count = Annotated[int, Meta(ge=0, le=100)]
DayMinutes = Annotated[int, Meta(ge=0, le=1440, description="minutes")]

# What the server adds; accepted in a body and ignored, so that a record can be sent back as it was read.
READ_ONLY = frozenset(
    {
        "version",
        "received_at",
        "updated_at",
        "source",
        "change_number",
        "patient",
        "skew_ms",
        "deleted_at",
        "unreadable",
    }
)


class Entry(Struct, kw_only=True, frozen=True):
    """What every kind of entry has."""

    id: uuid.UUID | None = None
    sent_at: Instant | None = None

    def happened(self) -> tuple[tuple[str, datetime | date | None], ...]:
        """The fields that cannot lie in the future."""
        return ()

    def faults_at(self, *, now: datetime) -> list[FieldError]:
        """Faults that depend on the present instant."""
        found: list[FieldError] = []
        for name, value in self.happened():
            if isinstance(value, datetime):
                found += not_in_future(name, value, now=now, grace=CLOCK_GRACE)
            elif value is not None and value > (now.astimezone(UTC) + EASTMOST).date():
                found.append(
                    FieldError(f"/{name}", "in_the_future", f"{name} lies in the future; check the phone's clock.")
                )
        return found


def one_of(entry: Struct, *names: str) -> list[FieldError]:
    """At least one of these fields must say something."""
    if any(getattr(entry, name) is not None for name in names):
        return []
    return [FieldError(f"/{names[0]}", "required", f"Give at least one of {', '.join(names)}.")]


def in_order(entry: Struct, first: str, second: str, *, strictly: bool = False) -> list[FieldError]:
    """`second` comes after `first`, where both are given."""
    a, b = getattr(entry, first), getattr(entry, second)
    if a is None or b is None or a < b or (a == b and not strictly):
        return []
    return [FieldError(f"/{second}", "out_of_order", f"{second} must come after {first}.")]


class MoodCheckInEntry(Entry, kw_only=True, frozen=True):
    """How the patient feels."""

    felt_at: Instant
    time_zone: ZoneName
    mood: Annotated[int, Meta(ge=0, le=10, description="0 worst to 10 best", examples=[6])]
    anxiety: Score | None = None
    energy: Score | None = None
    irritability: Score | None = None
    craving: Score | None = None
    clarity: Score | None = None
    tags: Tags | None = None
    note: Text | None = None

    def happened(self) -> tuple[tuple[str, datetime | date | None], ...]:
        """A feeling was felt."""
        return (("felt_at", self.felt_at),)


class SleepEntry(Entry, kw_only=True, frozen=True):
    """One night, named by the date on which the patient woke up."""

    night_of: date
    asleep_at: Instant | None = None
    awake_at: Instant | None = None
    minutes_asleep: DayMinutes | None = None
    quality: Score | None = None
    awakenings: Count | None = None
    note: Text | None = None

    def faults(self) -> list[FieldError]:
        """A night says how long or how well, and ends after it began, within two days."""
        found = in_order(self, "asleep_at", "awake_at", strictly=True)
        found += one_of(self, "minutes_asleep", "asleep_at", "quality")
        if self.asleep_at and self.awake_at and self.awake_at - self.asleep_at > timedelta(hours=24):
            found.append(FieldError("/awake_at", "out_of_range", "A night has at most 24 hours."))
        return found

    def happened(self) -> tuple[tuple[str, datetime | date | None], ...]:
        """A night is over."""
        return (("night_of", self.night_of), ("asleep_at", self.asleep_at), ("awake_at", self.awake_at))


class ExerciseEntry(Entry, kw_only=True, frozen=True):
    """One bout of movement."""

    started_at: Instant
    time_zone: ZoneName
    kind: Annotated[Word, Meta(examples=["walking"])]
    minutes: DayMinutes
    intensity: Annotated[str, choice(Intensity.values)] | None = None
    steps: Annotated[int, Meta(ge=0, le=200_000)] | None = None
    distance_m: Annotated[int, Meta(ge=0, le=1_000_000, description="metres")] | None = None
    note: Text | None = None

    def happened(self) -> tuple[tuple[str, datetime | date | None], ...]:
        """It began."""
        return (("started_at", self.started_at),)


class NutritionEntry(Entry, kw_only=True, frozen=True):
    """One day's meals and water."""

    day: date
    meals: Annotated[int, Meta(ge=0, le=20)] | None = None
    water_ml: Annotated[int, Meta(ge=0, le=20_000, description="millilitres")] | None = None
    quality: Score | None = None
    note: Text | None = None

    def faults(self) -> list[FieldError]:
        """A day says something."""
        return one_of(self, "meals", "water_ml", "quality")

    def happened(self) -> tuple[tuple[str, datetime | date | None], ...]:
        """The day has begun somewhere."""
        return (("day", self.day),)


class SubstanceEntry(Entry, kw_only=True, frozen=True):
    """One answer to 'did you use it today?'."""

    day: date
    substance: Annotated[str, choice(Substance.values)]
    used: bool
    amount: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    unit: Annotated[str, Meta(max_length=40, pattern="^[^\x00-\x1f]*$(?!\n)")] | None = None
    craving: Score | None = None
    triggers: Tags | None = None
    what_helped: Text | None = None
    note: Text | None = None

    def happened(self) -> tuple[tuple[str, datetime | date | None], ...]:
        """The day has begun somewhere."""
        return (("day", self.day),)
