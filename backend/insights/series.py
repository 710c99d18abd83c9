"""A patient's days as plain values: means, silences and marks. Pure: no database, no clock, no Django.

Mood is 0 (worst) to 10 (best). A period is half-open: `since` is included, `until` is not. An instant is an aware
datetime in UTC; a day is the patient's own day, whose boundaries come from `backend.insights.days`.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct

# API.md, 'Trend': the 7-day mean needs at least 4 of its 7 daily means; DOMAIN.md names none, so both are ours.
MEAN_WINDOW_DAYS = 7
MEAN_NEEDS_DAYS = 4
# UI.md, chart grammar: one missing day is a break in the thin line, two or more are a silence. Today is not over, so a
# silence that reaches into it begins 48 hours after the last check-in and not at midnight.
SILENCE_FROM_DAYS = 2
SILENCE_FROM = timedelta(hours=48)
# API.md, 'Trend': check-ins from a session's start to 24 h after it are marked and left out of baselines.
NEAR_SESSION = timedelta(hours=24)


class Mood(Struct, frozen=True):
    """One day's check-ins: their mean (0 to 10, six decimals) and how many there were."""

    mean: float
    count: int


class Sleep(Struct, frozen=True):
    """One night, named by the date of waking: minutes asleep, quality 0 to 10."""

    minutes: int | None
    quality: int | None


class Exercise(Struct, frozen=True):
    minutes: int


class Nutrition(Struct, frozen=True):
    """One day's food and drink; `quality` is 0 to 10."""

    meals: int | None
    water_ml: int | None
    quality: int | None


class Day(Struct, frozen=True):
    """One day of a trend. `None` is silence, never zero.

    `substances` were used on the day, `abstained` were answered with no; what nobody spoke of is in neither.
    `near_session`: at least one of the day's check-ins lies within 24 h after a session's start.
    """

    on: date
    mood: Mood | None = None
    mean_7d: float | None = None
    sleep: Sleep | None = None
    exercise: Exercise | None = None
    nutrition: Nutrition | None = None
    substances: tuple[str, ...] = ()
    abstained: tuple[str, ...] = ()
    near_session: bool = False


class Marker(Struct, frozen=True):
    """Something that happened at an instant and belongs on the chart; so far only sessions."""

    kind: str
    at: datetime
    session: UUID | None = None
    ended_at: datetime | None = None
    route: str | None = None
    dose_mg: float | None = None


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
    """What `GET …/trend` answers, field by field (API.md, 'Trend')."""

    patient: UUID
    time_zone: str
    since: date
    until: date
    days: tuple[Day, ...]
    markers: tuple[Marker, ...] = ()
    scores: tuple[Score, ...] = ()
    baseline: Baseline | None = None
    warnings: tuple[str, ...] = ()


class Answer(NamedTuple):
    """One check-in. A tuple, since a trend holds thousands."""

    at: datetime
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
    """A trend with what only a picture needs: each answer, the silences, and the sessions before the range."""

    trend: Trend
    answers: tuple[tuple[Answer, ...], ...]
    silences: tuple[Silence, ...]
    sessions: tuple[Marker, ...]
    starts: tuple[datetime, ...]

    def position_of(self, at: datetime) -> float:
        """The position of the day that holds an instant; before the range counted in days of 24 hours, below zero."""
        if at < self.starts[0]:
            return -((self.starts[0] - at) / timedelta(days=1)) - 0.5
        return bisect_right(self.starts, at) - 1


class Readings(Struct, frozen=True):
    """What the database holds for a range, by position of the day counted from the first instant of `starts`.

    `check_ins` are (instant, mood) in the order of time; `first_at` is the patient's first check-in ever.
    """

    check_ins: Mapping[int, Sequence[tuple[datetime, int]]] = {}
    sleep: Mapping[int, Sleep] = {}
    exercise: Mapping[int, Exercise] = {}
    nutrition: Mapping[int, Nutrition] = {}
    used: Mapping[int, tuple[str, ...]] = {}
    abstained: Mapping[int, tuple[str, ...]] = {}
    sessions: Sequence[Marker] = ()
    scores: Sequence[Score] = ()
    first_at: datetime | None = None


def daily_means(answers: Sequence[Sequence[Answer]]) -> list[float | None]:
    """The mean of each day's moods; None for a day without a check-in."""
    return [sum(answer.mood for answer in day) / len(day) if day else None for day in answers]


def rolling_means(means: Sequence[float | None]) -> list[float | None]:
    """For each day the mean of the daily means of it and the six before, from at least four of the seven."""
    rolled: list[float | None] = []
    for position in range(len(means)):
        window = [m for m in means[max(0, position - MEAN_WINDOW_DAYS + 1) : position + 1] if m is not None]
        rolled.append(sum(window) / len(window) if len(window) >= MEAN_NEEDS_DAYS else None)
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


def mark_near(check_ins: Sequence[tuple[datetime, int]], *, sessions: Sequence[datetime]) -> tuple[Answer, ...]:
    """Each check-in with its mark: near when some session started at or less than 24 h before it."""
    return tuple(
        Answer(at, mood, any(start <= at < start + NEAR_SESSION for start in sessions)) for at, mood in check_ins
    )


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
    answers = _answers(total=total, starts=starts, readings=readings, sessions=sessions)
    means = daily_means(answers)
    rolled = rolling_means(means)
    days = tuple(
        _day(position, on=since + timedelta(days=position - lead_days), answers=answers[position], mean=means[position],
             rolled=rolled[position], readings=readings)
        for position in range(lead_days, total)
    )  # fmt: skip
    trend = Trend(
        patient=patient,
        time_zone=time_zone,
        since=since,
        until=until,
        days=days,
        markers=tuple(s for s in sessions if s.at >= starts[lead_days]),
        scores=tuple(score for score in readings.scores if starts[lead_days] <= score.at < starts[-1]),
        baseline=baseline,
    )
    return Series(
        trend=trend,
        answers=tuple(answers[lead_days:]),
        silences=_hushed(answers[lead_days:], starts=starts[lead_days:], first_at=readings.first_at, now=now),
        sessions=sessions,
        starts=tuple(starts[lead_days:]),
    )


def _hushed(
    answers: Sequence[Sequence[Answer]], *, starts: Sequence[datetime], first_at: datetime | None, now: datetime
) -> tuple[Silence, ...]:
    """The silences of a range. Before the first check-in ever, and after now, nobody could have said anything."""
    if first_at is None:
        return ()
    begins = max(bisect_right(starts, first_at) - 1, 0)
    begun = bisect_right(starts, now, hi=len(starts) - 1)
    last_at = next((day[-1].at for day in reversed(answers) if day), None)
    running = begun < len(starts) and starts[begun] > now
    silent_now = not running or last_at is None or is_silent(last_at=last_at, now=now)
    found = silences([bool(day) for day in answers[begins:begun]], silent_now=silent_now)
    return tuple(Silence(s.first + begins, s.last + begins) for s in found)


def _answers(
    *, total: int, starts: Sequence[datetime], readings: Readings, sessions: Sequence[Marker]
) -> list[tuple[Answer, ...]]:
    """The check-ins of each day. A session is asked about only for the days that its 24 h can touch."""
    touched: dict[int, list[datetime]] = {}
    session_at = [session.at for session in sessions if session.at + NEAR_SESSION > starts[0]]
    if session_at:
        for position in readings.check_ins:
            opens, closes = starts[position], starts[position + 1]
            near = [at for at in session_at if at < closes and at + NEAR_SESSION > opens]
            if near:
                touched[position] = near
    return [mark_near(readings.check_ins.get(at, ()), sessions=touched.get(at, ())) for at in range(total)]


def _day(
    position: int,
    *,
    on: date,
    answers: Sequence[Answer],
    mean: float | None,
    rolled: float | None,
    readings: Readings,
) -> Day:
    return Day(
        on=on,
        mood=None if mean is None else Mood(round(mean, 6), len(answers)),
        mean_7d=None if rolled is None else round(rolled, 6),
        sleep=readings.sleep.get(position),
        exercise=readings.exercise.get(position),
        nutrition=readings.nutrition.get(position),
        substances=readings.used.get(position, ()),
        abstained=readings.abstained.get(position, ()),
        near_session=any(answer.near_session for answer in answers),
    )
