"""Sleep, exercise, food and substances of one made-up day. Pure: no clock, no database, no Django.

Each follows the day's mood a little and mostly chance: what goes together here is invented and proves nothing.
"""

import random
from datetime import date, datetime, time, timedelta
from typing import NamedTuple, Protocol


class Night(NamedTuple):
    """One night, named by the date of waking; minutes asleep."""

    night_of: date
    received_at: datetime
    asleep_at: datetime
    awake_at: datetime
    minutes: int
    quality: int
    awakenings: int


class Bout(NamedTuple):
    """One bout of movement."""

    started_at: datetime
    received_at: datetime
    kind: str
    minutes: int
    intensity: str
    steps: int | None
    distance_m: int | None


class Meals(NamedTuple):
    """One day's food and drink."""

    day: date
    received_at: datetime
    meals: int
    water_ml: int
    quality: int


class Answer(NamedTuple):
    """One answer to 'did you use it today?'."""

    day: date
    received_at: datetime
    substance: str
    used: bool
    amount: float | None
    unit: str
    craving: int
    triggers: tuple[str, ...]
    what_helped: str


class Habits(Protocol):
    """The part of a profile that is read here."""

    @property
    def evening(self) -> time: ...
    @property
    def substances(self) -> tuple[str, ...]: ...
    @property
    def lapses(self) -> float: ...
    @property
    def active(self) -> float: ...


class Arrivals(Protocol):
    """When an entry reaches the server."""

    def arrival(self, at: datetime, *, delay_s: float) -> datetime: ...
    def local(self, on: date, at: time) -> datetime: ...


UNITS = {"alcohol": "drinks", "cannabis": "joints", "nicotine": "cigarettes"}
TRIGGERS = ("stress", "friends", "boredom", "bad night", "argument", "payday")
HELPED = ("", "", "A walk.", "Called my sister.", "Tea and an early night.", "Told my therapist.")
MOVES = (("walking", "light", 110, 75), ("yoga", "light", 0, 0), ("running", "vigorous", 165, 160),
         ("cycling", "moderate", 0, 260), ("swimming", "moderate", 0, 35), ("strength", "moderate", 0, 0))  # fmt: skip


def append_day(
    rng: random.Random,
    habits: Habits,
    *,
    on: date,
    mood: float,
    answered: bool,
    post: Arrivals,
    now: datetime,
    nights: list[Night],
    bouts: list[Bout],
    meals: list[Meals],
    answers: list[Answer],
) -> float:
    """Adds what the patient told of this day, and returns how short the night was (0 rested to 1 or more)."""
    bed = post.local(on - timedelta(days=1), time(23, 0)) + timedelta(minutes=rng.gauss(20, 40))
    minutes = int(max(150, min(600, 330 + 14 * mood + rng.gauss(0, 50))))
    awakenings = max(0, round(rng.gauss(3 - 0.25 * mood, 1)))
    awake = bed + timedelta(minutes=minutes + 6 * awakenings + rng.randrange(10, 40))
    quality = max(0, min(10, round(minutes / 75 + mood * 0.35 - awakenings * 0.4 + rng.gauss(0, 0.8))))
    told = post.arrival(awake + timedelta(minutes=12), delay_s=rng.random() * 90)
    if answered and told <= now and rng.random() < 0.9:
        nights.append(Night(on, told, bed, awake, minutes, quality, awakenings))
    if rng.random() < habits.active + 0.03 * (mood - 5) and (bout := _bout(rng, on, post)).received_at <= now:
        bouts.append(bout)
    evening = post.local(on, habits.evening) + timedelta(minutes=3)
    told = post.arrival(evening, delay_s=rng.random() * 120)
    if answered and told <= now:
        if rng.random() < 0.55:
            count = rng.choice((2, 3, 3, 3, 4))
            eaten = max(0, min(10, round(4 + 0.4 * mood + rng.gauss(0, 1))))
            meals.append(Meals(on, told, count, 100 * round(max(4, min(38, rng.gauss(17, 5)))), eaten))
        for substance in habits.substances:
            if rng.random() < 0.8:
                answers.append(_answer(rng, habits, on, told, substance, mood))
    return max(0.0, (390 - minutes) / 120)


def _bout(rng: random.Random, on: date, post: Arrivals) -> Bout:
    kind, intensity, steps, metres = MOVES[min(len(MOVES) - 1, int(rng.expovariate(0.7)))]
    minutes = max(10, min(150, 5 * round(rng.gauss(32, 14) / 5)))
    started = post.local(on, time(rng.choice((6, 7, 18, 19)), rng.randrange(0, 60)))
    told = post.arrival(started + timedelta(minutes=minutes), delay_s=30 + rng.random() * 600)
    return Bout(started, told, kind, minutes, intensity, steps * minutes or None, metres * minutes or None)


def _answer(rng: random.Random, habits: Habits, on: date, told: datetime, substance: str, mood: float) -> Answer:
    used = rng.random() < habits.lapses * (1.6 if mood < 4 else 0.8)
    craving = max(0, min(10, round(rng.gauss(5.5 if used else 2.2, 1.5))))
    if not used:
        return Answer(on, told, substance, False, None, "", craving, (), "")
    return Answer(
        on, told, substance, True, float(rng.randrange(1, 5)), UNITS.get(substance, ""), craving,
        tuple(rng.sample(TRIGGERS, rng.choice((1, 2)))), rng.choice(HELPED),
    )  # fmt: skip
