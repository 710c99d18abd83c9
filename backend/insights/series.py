"""A patient's days as plain values: means, silences and marks. Pure: no database, no clock, no Django.

Mood is 0 (worst) to 10 (best). A period is half-open: `since` is included, `until` is not. An instant is an aware
datetime in UTC; a day is the patient's own day, whose boundaries come from `backend.insights.days`.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, NamedTuple
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

# The small structs hold no other containers, so Python's collector of cycles need not look at the thousands of them.

# API.md, 'Trend': the 7-day mean needs at least 4 of its 7 daily means; DOMAIN.md names none, so both are ours.
MEAN_WINDOW_DAYS = 7
MEAN_NEEDS_DAYS = 4
# UI.md, chart grammar: one missing day is a break in the thin line, two or more are a silence. Today is not over, so a
# silence that reaches into it begins 48 hours after the last check-in and not at midnight.
SILENCE_FROM_DAYS = 2
SILENCE_FROM = timedelta(hours=48)
# API.md, 'Trend': check-ins from a session's start to 24 h after it are marked and left out of baselines; whoever reads
# them from the database marks them.
NEAR_SESSION = timedelta(hours=24)


Mean = Annotated[float, Meta(ge=0, le=10, description="0 worst to 10 best")]
Quality = Annotated[int, Meta(ge=0, le=10, description="0 worst to 10 best")]
Minutes = Annotated[int, Meta(ge=0, description="minutes")]


class Mood(Struct, frozen=True, gc=False):
    """A day's check-ins: their mean and how many there were."""

    mean: Mean
    count: Annotated[int, Meta(ge=1)]


class Sleep(Struct, frozen=True, gc=False):
    """The night that ended on the day."""

    minutes: Minutes | None
    quality: Quality | None


class Exercise(Struct, frozen=True, gc=False):
    """Everything moved on the day, added up."""

    minutes: Minutes


class Nutrition(Struct, frozen=True, gc=False):
    """The day's food and drink."""

    meals: Annotated[int, Meta(ge=0)] | None
    water_ml: Annotated[int, Meta(ge=0, description="millilitres")] | None
    quality: Quality | None


class Day(Struct, frozen=True, gc=False):
    """One day of a trend, the patient's own. null is silence, never zero.

    `substances` were used on the day, `abstained` were answered with no; what nobody spoke of is in neither.
    `mean_7d` is the mean of the daily means of this day and the six before, from at least four of the seven.
    `near_session`: at least one of the day's check-ins lies within 24 hours after a session's start.
    """

    on: date
    mood: Mood | None
    mean_7d: Mean | None
    sleep: Sleep | None
    exercise: Exercise | None
    nutrition: Nutrition | None
    substances: tuple[str, ...]
    abstained: tuple[str, ...]
    near_session: bool


class Marker(Struct, frozen=True):
    """Something that belongs on the chart: a session, or an annotation, up to `ended_at` if about days."""

    kind: Annotated[str, Meta(description="session or annotation")]
    at: datetime
    session: UUID | None = None
    ended_at: datetime | None = None
    route: str | None = None
    dose_mg: Annotated[float, Meta(ge=0, description="milligrams")] | None = None
    annotation: UUID | UnsetType = UNSET
    private: Annotated[bool, Meta(description="Only the care team sees the annotation")] | UnsetType = UNSET


class Score(Struct, frozen=True):
    """A questionnaire's total at an instant."""

    instrument: str
    at: datetime
    total: int
    band: str | None = None


class Baseline(Struct, frozen=True):
    """The patient's own normal mood, `low` to `high` around `middle`, and the days it was taken from."""

    low: float
    middle: float
    high: float
    since: date
    until: date


class Trend(Struct, frozen=True):
    """A range of the patient's days, `since` included and `until` not; every day is there."""

    patient: UUID
    time_zone: str
    since: date
    until: date
    days: tuple[Day, ...]
    markers: tuple[Marker, ...]
    scores: tuple[Score, ...]
    baseline: Baseline | None
    warnings: tuple[str, ...]


class Answer(NamedTuple):
    """One check-in. A tuple, since a trend holds thousands."""

    mood: int
    near_session: bool


class Silence(NamedTuple):
    """Two or more days in a row without a check-in, as positions in `Trend.days`, `last` included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


class Series(Struct, frozen=True):
    """A trend with what only a picture needs: each answer, the silences, and the sessions before the range.

    `answers` holds nothing where the readings were read without them.
    """

    trend: Trend
    answers: tuple[tuple[Answer, ...], ...]
    silences: tuple[Silence, ...]
    sessions: tuple[Marker, ...]
    starts: tuple[datetime, ...]

    def marked(self, kind: str) -> list[Marker]:
        """The markers of the range that are of this kind, in the order of time."""
        return [marker for marker in self.trend.markers if marker.kind == kind]

    def position_of(self, at: datetime) -> float:
        """The position of the day that holds an instant; before the range counted in days of 24 hours, below zero."""
        if at < self.starts[0]:
            return -((self.starts[0] - at) / timedelta(days=1)) - 0.5
        return bisect_right(self.starts, at) - 1


class Readings(Struct, frozen=True):
    """What the database holds for a range, by position of the day counted from the first instant of `starts`.

    `moods` are (sum, count) of a day's check-ins, `answers` the same one by one in the order of time, where they were
    asked for. `near_days` are days with a check-in near a session. `first_at` and `last_at` are the patient's first
    check-in ever and the last one before the end of the range.
    """

    moods: Mapping[int, tuple[int, int]] = {}
    answers: Mapping[int, Sequence[Answer]] = {}
    near_days: frozenset[int] = frozenset()
    sleep: Mapping[int, Sleep] = {}
    exercise: Mapping[int, Exercise] = {}
    nutrition: Mapping[int, Nutrition] = {}
    used: Mapping[int, tuple[str, ...]] = {}
    abstained: Mapping[int, tuple[str, ...]] = {}
    sessions: Sequence[Marker] = ()
    annotations: Sequence[Marker] = ()
    scores: Sequence[Score] = ()
    first_at: datetime | None = None
    last_at: datetime | None = None


def rolling_means(means: Sequence[float | None]) -> list[float | None]:
    """For each day the mean of the daily means of it and the six before, from at least four of the seven."""
    rolled: list[float | None] = []
    for after in range(1, len(means) + 1):
        window = means[max(0, after - MEAN_WINDOW_DAYS) : after]
        told = len(window) - window.count(None)
        # filter(None) drops silence and zeros alike; a zero adds nothing to the sum.
        rolled.append(sum(filter(None, window)) / told if told >= MEAN_NEEDS_DAYS else None)
    return rolled


def silences(answered: Sequence[bool], *, silent_now: bool = True) -> list[Silence]:
    """The stretches of two or more days without a check-in, in order. Days before and after are not guessed.

    The last day is taken as still running: a stretch of two days that ends with it counts only when `silent_now`.
    """
    found: list[Silence] = []
    first: int | None = None
    for position, said in enumerate([*answered, True]):
        if not said and first is None:
            first = position
        elif said and first is not None:
            reaches_now = position == len(answered) and position - first == SILENCE_FROM_DAYS
            if position - first >= SILENCE_FROM_DAYS and (silent_now or not reaches_now):
                found.append(Silence(first, position - 1))
            first = None
    return found


def is_silent(*, last_at: datetime | None, now: datetime) -> bool:
    """Whether the last check-in is 48 hours ago or more."""
    return last_at is not None and now - last_at >= SILENCE_FROM


def build(
    *,
    patient: UUID,
    time_zone: str,
    since: date,
    until: date,
    starts: Sequence[datetime],
    lead_days: int,
    readings: Readings,
    now: datetime,
    baseline: Baseline | None = None,
) -> Series:
    """The series of the days from `since` to before `until`, as seen at `now`.

    `starts` are the boundaries of those days with `lead_days` more in front (for the first 7-day means) and one
    closing instant; `readings` count their days from the same first boundary. Sessions may lie before the range.
    """
    total = len(starts) - 1
    if total != lead_days + (until - since).days:
        raise ValueError("starts must hold one instant for each day, those before the range, and a closing one")
    sessions = tuple(sorted((s for s in readings.sessions if s.at < starts[-1]), key=lambda marker: marker.at))
    told = [readings.moods.get(at) for at in range(total)]
    means = [mood and mood[0] / mood[1] for mood in told]
    rolled = rolling_means(means)
    days = tuple(
        Day(
            on=since + timedelta(days=at - lead_days),
            mood=None if (mood := told[at]) is None else Mood(round(mood[0] / mood[1], 6), mood[1]),
            mean_7d=None if (mean := rolled[at]) is None else round(mean, 6),
            sleep=readings.sleep.get(at),
            exercise=readings.exercise.get(at),
            nutrition=readings.nutrition.get(at),
            substances=readings.used.get(at, ()),
            abstained=readings.abstained.get(at, ()),
            near_session=at in readings.near_days,
        )
        for at in range(lead_days, total)
    )
    trend = Trend(
        patient=patient,
        time_zone=time_zone,
        since=since,
        until=until,
        days=days,
        markers=_inside([*sessions, *readings.annotations], since=starts[lead_days], until=starts[-1]),
        scores=tuple(score for score in readings.scores if starts[lead_days] <= score.at < starts[-1]),
        baseline=baseline,
        warnings=(),
    )
    return Series(
        trend=trend,
        answers=tuple(tuple(readings.answers.get(at, ())) for at in range(lead_days, total)),
        silences=_hushed([mood is not None for mood in told[lead_days:]], starts[lead_days:], readings, now=now),
        sessions=sessions,
        starts=tuple(starts[lead_days:]),
    )


def _inside(markers: Sequence[Marker], *, since: datetime, until: datetime) -> tuple[Marker, ...]:
    """In the order of time those in the range, and annotations about days that reach into it."""
    late = [m for m in markers if m.at >= since or (m.kind == "annotation" and (m.ended_at or m.at) > since)]
    return tuple(sorted((m for m in late if m.at < until), key=lambda marker: marker.at))


def _hushed(
    answered: Sequence[bool], starts: Sequence[datetime], readings: Readings, *, now: datetime
) -> tuple[Silence, ...]:
    """The silences of a range. Before the first check-in ever, and after now, nobody could have said anything."""
    if readings.first_at is None:
        return ()
    begins = max(bisect_right(starts, readings.first_at) - 1, 0)
    begun = bisect_right(starts, now, hi=len(starts) - 1)
    running = starts[begun] > now
    silent_now = not running or is_silent(last_at=readings.last_at, now=now)
    found = silences(answered[begins:begun], silent_now=silent_now)
    return tuple(Silence(s.first + begins, s.last + begins) for s in found)
