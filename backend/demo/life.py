"""Months of one made-up patient's life as plain rows, from a profile and a seed. Pure: no clock, no database.

The same profile, range and seed give the same rows. Instants are in UTC, days are the patient's own, scores 0 to 10.
Nothing is told after `now` or after the profile's last day, and each row carries the instant at which it arrived.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from backend.common import clock
from backend.demo import curve, habits
from backend.demo.habits import Answer, Bout, Meals, Night
from backend.demo.words import note_for, tags_for

SLOTS = (time(8, 10), time(13, 20), time(17, 10))  # beside the evening one that the patient chose
ORDER = ((3,), (0, 3), (0, 1, 3), (0, 1, 2, 3))  # which of the four are used when there are one, two … answers a day
MOST_A_DAY = len(ORDER)


class CheckIn(NamedTuple):
    """One mood check-in."""

    felt_at: datetime
    received_at: datetime
    mood: int
    anxiety: int | None
    energy: int | None
    irritability: int | None
    craving: int | None
    clarity: int | None
    tags: tuple[str, ...]
    note: str


class Treatment(NamedTuple):
    """One session; `started_at` is None for one that is still to come."""

    planned_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    dose_mg: float
    arrived_at: datetime


class Effect(NamedTuple):
    """One side effect; `session` is the position in `Life.sessions`."""

    started_at: datetime
    received_at: datetime
    kind: str
    severity: int
    ended_at: datetime
    session: int


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What makes one patient's months differ from another's.

    `gain` is how far mood can rise above `low` (both on the scale of 0 to 10); `hold` how many days it lasts.
    `sessions` are days of the range, counted from its first. `offline` are stretches of days (first, last) whose
    entries arrive in one batch after the last. `last_day` is the last day with entries, None for all. `slump` days at
    the end are `slump_by` lower. `diligence` is the share of days with any entry, `a_day` the mean number of check-ins
    on such a day.
    """

    time_zone: str
    low: float = 3.0
    gain: float = 4.0
    hold: float = 45.0
    sessions: tuple[int, ...] = ()
    route: str = "iv"
    weight_kg: float = 70.0
    evening: time = time(21, 0)
    diligence: float = 0.85
    a_day: float = 1.3
    offline: tuple[tuple[int, int], ...] = ()
    last_day: date | None = None
    slump: int = 0
    slump_by: float = 0.0
    substances: tuple[str, ...] = ("alcohol",)
    lapses: float = 0.02
    active: float = 0.45


@dataclass(frozen=True, kw_only=True)
class Life:
    """All that one patient told, each list in the order of time, and the sessions that were held or are planned."""

    check_ins: list[CheckIn] = field(default_factory=list)
    nights: list[Night] = field(default_factory=list)
    bouts: list[Bout] = field(default_factory=list)
    meals: list[Meals] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    sessions: list[Treatment] = field(default_factory=list)


def live(profile: Profile, *, since: date, now: datetime, seed: str) -> Life:
    """The life from `since` on; entries that would arrive after `now` are left out."""
    rng = random.Random(seed)  # noqa: S311 - made-up people, not secrets
    zone = clock.zone(profile.time_zone)
    today = now.astimezone(zone).date()
    days = (today - since).days + 1
    life = Life()
    life.sessions.extend(_treatments(rng, profile, since, now))
    moods = _moods(rng, profile, days)
    post = Post(profile, since)
    for position in range(days):
        on = since + timedelta(days=position)
        if profile.last_day is not None and on > profile.last_day:
            break
        answered = rng.random() < profile.diligence
        mood = moods[position]
        tired = habits.append_day(
            rng, profile, on=on, mood=mood, answered=answered, post=post, now=now,
            nights=life.nights, bouts=life.bouts, meals=life.meals, answers=life.answers,
        )  # fmt: skip
        if answered:
            _check_ins(rng, profile, on=on, mood=mood - 0.4 * tired, post=post, now=now, into=life.check_ins)
    life.effects.extend(_effects(rng, life.sessions, post, now))
    return life


class Post:
    """When an entry reaches the server: within two minutes, or with the batch that ends a stretch without a network."""

    def __init__(self, profile: Profile, since: date) -> None:
        self._zone = clock.zone(profile.time_zone)
        self._stretches = [(since + timedelta(days=a), since + timedelta(days=b)) for a, b in profile.offline]

    def arrival(self, at: datetime, *, delay_s: float) -> datetime:
        """The instant of arrival, after `at` by the delay or, off the network, by days."""
        day = at.astimezone(self._zone).date()
        for first, last in self._stretches:
            if first <= day <= last:
                return self.local(last + timedelta(days=1), time(7, 30))
        return at + timedelta(seconds=delay_s)

    def local(self, on: date, at: time) -> datetime:
        """Wall time of the patient as an instant in UTC."""
        return datetime.combine(on, at, self._zone).astimezone(UTC)


def _moods(rng: random.Random, profile: Profile, days: int) -> list[float]:
    """The mood of each day before rounding: low + what treatment lifts + the week's rhythm + slow noise - a slump."""
    lifts = curve.lifts(days=days, sessions=profile.sessions, hold=profile.hold)
    drift, moods = 0.0, []
    for position in range(days):
        drift = 0.75 * drift + rng.gauss(0, 0.45)
        rhythm = 0.25 if position % 7 in (5, 6) else 0.0
        slump = profile.slump_by if position >= days - profile.slump else 0.0
        moods.append(profile.low + profile.gain * lifts[position] + drift + rhythm - slump)
    return moods


def score(value: float) -> int:
    """The nearest whole number from 0 to 10."""
    return max(0, min(10, round(value)))


def _check_ins(
    rng: random.Random, profile: Profile, *, on: date, mood: float, post: Post, now: datetime, into: list[CheckIn]
) -> None:
    count = 1 + sum(rng.random() < (profile.a_day - 1) / (MOST_A_DAY - 1) for _ in range(MOST_A_DAY - 1))
    for slot in ORDER[count - 1]:
        at = post.local(on, SLOTS[slot] if slot < len(SLOTS) else profile.evening)
        at += timedelta(seconds=rng.randrange(-1500, 1500))
        arrives = post.arrival(at, delay_s=2 + rng.random() * 100)
        felt = mood + (-0.5, 0.0, 0.1, 0.3)[slot] + rng.gauss(0, 0.6)
        value = score(felt)
        row = CheckIn(
            felt_at=at,
            received_at=arrives,
            mood=value,
            anxiety=score(9 - felt + rng.gauss(0, 1)) if rng.random() < 0.9 else None,
            energy=score(felt - 0.5 + rng.gauss(0, 1)) if rng.random() < 0.9 else None,
            irritability=score(7 - 0.7 * felt + rng.gauss(0, 1)) if rng.random() < 0.6 else None,
            craving=score(3 - 0.3 * felt + rng.gauss(0, 1.2)) if rng.random() < 0.6 else None,
            clarity=score(felt + 0.3 + rng.gauss(0, 1)) if rng.random() < 0.5 else None,
            tags=tags_for(rng, value),
            note=note_for(rng, value),
        )
        if arrives <= now and (not into or into[-1].felt_at < at):
            into.append(row)


def _treatments(rng: random.Random, profile: Profile, since: date, now: datetime) -> list[Treatment]:
    zone = clock.zone(profile.time_zone)
    found = []
    for position in profile.sessions:
        planned = datetime.combine(
            since + timedelta(days=position), time(rng.randrange(9, 16), rng.choice((0, 30))), zone
        ).astimezone(UTC)
        started = planned + timedelta(minutes=rng.randrange(0, 18))
        ended = started + timedelta(minutes=rng.randrange(40, 61))
        dose = _dose(profile)
        booked = planned - timedelta(days=7)
        if ended <= now:
            found.append(Treatment(planned, started, ended, dose, ended + timedelta(minutes=5)))
        elif planned > now:
            found.append(Treatment(planned, None, None, dose, min(booked, now)))
    return found


def _dose(profile: Profile) -> float:
    """Milligrams: 0.5 mg/kg by vein (Oliver 2022), 56 mg as nasal spray (the label's first dose), ours for the rest."""
    by_route = {"iv": 0.5 * profile.weight_kg, "intranasal": 56.0, "intramuscular": 0.7 * profile.weight_kg}
    return round(by_route.get(profile.route, 100.0), 1)


EFFECTS = (
    ("dizziness", 5), ("nausea", 4), ("fatigue", 4), ("dissociation", 3), ("sedation", 3), ("headache", 2),
    ("confusion", 1), ("vivid_dreams", 1), ("raised_blood_pressure", 1), ("visual_disturbance", 1),
)  # fmt: skip


def _effects(rng: random.Random, sessions: Sequence[Treatment], post: Post, now: datetime) -> list[Effect]:
    """Side effects of about two sessions in three, over within hours (DOMAIN.md, 'Session and after')."""
    found = []
    kinds, weights = zip(*EFFECTS, strict=True)
    for position, session in enumerate(sessions):
        if session.started_at is None or session.ended_at is None or rng.random() > 0.65:
            continue
        for kind in dict.fromkeys(rng.choices(kinds, weights, k=rng.choice((1, 1, 2)))):
            start = session.started_at + timedelta(minutes=rng.randrange(8, 50))
            end = session.ended_at + timedelta(minutes=rng.randrange(20, 300))
            arrives = post.arrival(end, delay_s=60 + rng.random() * 3000)
            if arrives <= now:
                found.append(Effect(start, arrives, kind, rng.choice((1, 1, 1, 2)), end, position))
    return sorted(found, key=lambda effect: (effect.started_at, effect.kind))
