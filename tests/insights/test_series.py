"""Means need enough days, silence is silence, and a session's glow is marked."""

import itertools
from datetime import UTC, date, datetime, timedelta
from statistics import fmean
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.insights.days import day_starts
from backend.insights.series import (
    Answer,
    Exercise,
    Marker,
    Readings,
    Series,
    Silence,
    Sleep,
    build,
    rolling_means,
    silences,
)

PATIENT = UUID(int=7)
ZONES = [("Asia/Kolkata", datetime(1970, 1, 1, tzinfo=UTC))]
SINCE = date(2026, 9, 1)
LEAD = 6


def series(*, days: int, readings: Readings, now: datetime | None = None) -> Series:
    """Seen after the range is over, unless `now` says otherwise; the ends are those of the rows, at noon."""
    said = sorted(readings.moods)
    readings = msgspec.structs.replace(
        readings,
        first_at=readings.first_at or (noon(said[0] - LEAD) if said else None),
        last_at=noon(said[-1] - LEAD) if said else None,
    )
    until = SINCE + timedelta(days=days)
    starts = day_starts(zones=ZONES, since=SINCE - timedelta(days=LEAD), until=until)
    return build(
        patient=PATIENT, time_zone="Asia/Kolkata", since=SINCE, until=until, starts=starts, lead_days=LEAD,
        readings=readings,
        now=now or noon(days + 30),
    )  # fmt: skip


def noon(position: int) -> datetime:
    """Midday of the day at a position of the range; negative ones lie before it."""
    return datetime(2026, 9, 1, 6, 30, tzinfo=UTC) + timedelta(days=position)


def moods(days: dict[int, list[int]]) -> dict[int, tuple[int, int]]:
    """(sum, count) of the check-ins of each day, by position in the range."""
    return {at + LEAD: (sum(day), len(day)) for at, day in days.items()}


days_of_means = st.lists(st.none() | st.floats(0, 10), max_size=60)


@given(means=days_of_means)
def test_the_7_day_mean_is_the_mean_of_at_least_four_daily_means(means: list[float | None]) -> None:
    rolled = rolling_means(means)
    assert len(rolled) == len(means)
    for position, value in enumerate(rolled):
        window = [m for m in means[max(0, position - 6) : position + 1] if m is not None]
        if len(window) < 4:
            assert value is None
        else:
            assert value == pytest.approx(fmean(window), abs=1e-9)
            assert min(window) - 1e-9 <= value <= max(window) + 1e-9


@given(means=days_of_means, other=days_of_means)
def test_the_7_day_mean_never_looks_ahead_or_back_more_than_six_days(
    means: list[float | None], other: list[float | None]
) -> None:
    assert rolling_means(means + other)[: len(means)] == rolling_means(means)
    assert rolling_means(other + means)[len(other) + 6 :] == rolling_means(means)[6:]


@given(answered=st.lists(st.booleans(), max_size=60))
def test_silences_are_exactly_the_stretches_of_two_days_or_more(answered: list[bool]) -> None:
    found = silences(answered)
    silent = {position for s in found for position in range(s.first, s.last + 1)}
    for position, said in enumerate(answered):
        neighbours = answered[max(0, position - 1) : position] + answered[position + 1 : position + 2]
        assert (position in silent) == (not said and not all(neighbours))
    assert all(s.length >= 2 for s in found)
    assert all(a.last + 1 < b.first for a, b in itertools.pairwise(found))


@given(answered=st.lists(st.booleans(), max_size=60))
def test_today_is_not_over_so_two_days_that_end_with_it_wait(answered: list[bool]) -> None:
    ends_with_two = len(answered) >= 2 and answered[-2:] == [False, False] and answered[-3:-2] != [False]
    waiting = silences(answered, silent_now=False)
    assert waiting == (silences(answered)[:-1] if ends_with_two else silences(answered))


def test_a_silence_into_today_begins_48_hours_after_the_last_check_in() -> None:
    readings = Readings(moods=moods({0: [6], 1: [6], 2: [6]}))
    last = noon(2)
    for hours, expected in ((24, ()), (47, ()), (48, (Silence(3, 4),)), (60, (Silence(3, 4),))):
        assert series(days=5, readings=readings, now=last + timedelta(hours=hours)).silences == expected


def test_before_the_first_check_in_ever_and_after_now_nobody_is_silent() -> None:
    readings = Readings(moods=moods({10: [6], 14: [6]}))
    assert series(days=40, readings=readings, now=noon(14)).silences == (Silence(11, 13),)
    assert series(days=40, readings=readings, now=noon(18)).silences == (Silence(11, 13), Silence(15, 18))
    assert series(days=40, readings=Readings()).silences == ()
    known = Readings(moods=moods({10: [6]}), first_at=noon(-400))
    assert series(days=40, readings=known, now=noon(10)).silences == (Silence(0, 9),)


def test_every_day_of_the_range_is_there_and_silence_is_null() -> None:
    built = series(days=5, readings=Readings(moods=moods({1: [4, 7]}), sleep={LEAD + 3: Sleep(420, 7)}))
    days = built.trend.days
    assert [day.on for day in days] == [SINCE + timedelta(days=n) for n in range(5)]
    assert [day.mood and (day.mood.mean, day.mood.count) for day in days] == [None, (5.5, 2), None, None, None]
    assert days[3].sleep == Sleep(420, 7)
    assert days[0].sleep is None
    assert days[0].exercise is None
    assert built.silences == (Silence(2, 4),)


def test_the_first_days_mean_knows_the_six_days_before_the_range() -> None:
    built = series(days=3, readings=Readings(moods=moods({at: [6] for at in range(-6, 0)})))
    assert [day.mood for day in built.trend.days] == [None, None, None]
    assert [day.mean_7d for day in built.trend.days] == [6, 6, 6]


def test_several_answers_a_day_weigh_as_one_day() -> None:
    built = series(days=7, readings=Readings(moods=moods({0: [2, 2, 2, 2, 2, 2], 1: [8], 2: [8], 3: [8]})))
    assert built.trend.days[3].mean_7d == 6.5


def test_sessions_before_the_range_are_known_but_no_markers_of_it() -> None:
    before = Marker(kind="session", at=noon(0) - timedelta(hours=20), dose_mg=40)
    inside = Marker(kind="session", at=noon(2), dose_mg=40)
    later = Marker(kind="session", at=noon(6), dose_mg=40)
    built = series(days=6, readings=Readings(sessions=(inside, later, before)))
    assert built.trend.markers == (inside,)
    assert built.sessions == (before, inside)
    assert [built.position_of(session.at) for session in built.sessions] == [pytest.approx(-0.85, abs=0.03), 2]


def test_days_near_a_session_are_marked_and_answers_stand_at_their_day() -> None:
    said = {LEAD: [Answer(3, near_session=False), Answer(6, near_session=True)]}
    built = series(days=3, readings=Readings(moods=moods({0: [3, 6]}), answers=said, near_days=frozenset({LEAD})))
    assert [day.near_session for day in built.trend.days] == [True, False, False]
    assert built.answers == ((Answer(3, False), Answer(6, True)), (), ())


def test_boundaries_that_do_not_fit_the_range_are_refused() -> None:
    with pytest.raises(ValueError, match="one instant for each day"):
        build(
            patient=PATIENT, time_zone="UTC", since=SINCE, until=SINCE + timedelta(days=3), starts=[noon(0)],
            lead_days=0, readings=Readings(), now=noon(0),
        )  # fmt: skip


def test_a_trend_reads_as_the_api_promises() -> None:
    readings = Readings(
        moods=moods({0: [4, 7]}),
        near_days=frozenset({LEAD}),
        exercise={LEAD: Exercise(30)},
        used={LEAD: ("alcohol",)},
        sessions=(Marker(kind="session", at=noon(0), dose_mg=35.0),),
    )
    told = msgspec.json.decode(msgspec.json.encode(series(days=2, readings=readings).trend))
    assert {"patient", "time_zone", "since", "until", "days", "markers", "scores", "baseline", "warnings"} == set(told)
    assert (told["since"], told["until"], told["baseline"], told["warnings"]) == ("2026-09-01", "2026-09-03", None, [])
    assert told["days"][0] == {
        "on": "2026-09-01", "mood": {"mean": 5.5, "count": 2}, "mean_7d": None, "sleep": None,
        "exercise": {"minutes": 30}, "nutrition": None, "substances": ["alcohol"], "abstained": [],
        "near_session": True,
    }  # fmt: skip
    assert told["markers"][0]["kind"] == "session"
    assert told["markers"][0]["at"] == "2026-09-01T06:30:00Z"
