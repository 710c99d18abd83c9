"""Made-up lives keep the rules that real ones keep, whatever the profile."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from random import Random
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.common import clock
from backend.demo import cast, curve, life
from backend.demo.life import Profile

NOW = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
SINCE = date(2026, 5, 26)
ZONES = ("Asia/Kolkata", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia")


@st.composite
def profiles(draw):
    start = draw(st.integers(0, 160))
    return Profile(
        time_zone=draw(st.sampled_from(ZONES)),
        low=draw(st.floats(0, 10)),
        gain=draw(st.floats(-2, 8)),
        hold=draw(st.floats(8, 240)),
        sessions=tuple(sorted({start + n for n in draw(st.lists(st.integers(0, 40), max_size=9))})),
        diligence=draw(st.floats(0, 1)),
        a_day=draw(st.floats(1, 4)),
        offline=draw(st.sampled_from([(), ((40, 43),), ((20, 20), (179, 185))])),
        last_day=draw(st.sampled_from([None, date(2026, 11, 20)])),
        slump=draw(st.integers(0, 20)),
        slump_by=draw(st.floats(0, 4)),
        substances=("alcohol", "cannabis"),
        lapses=draw(st.floats(0, 1)),
        active=draw(st.floats(0, 1)),
    )


@settings(max_examples=40, deadline=None)
@given(profile=profiles(), seed=st.text(max_size=5), minutes=st.integers(0, 43_200))
def test_every_life_could_have_been_lived(profile, seed, minutes):
    now = NOW - timedelta(days=20) + timedelta(minutes=minutes)
    told = life.live(profile, since=SINCE, now=now, seed=seed)
    for earlier, later in pairwise(told.check_ins):
        assert earlier.felt_at < later.felt_at
        assert earlier.received_at <= later.received_at
    for row in told.check_ins:
        assert row.felt_at <= row.received_at <= now
        assert all(value is None or 0 <= value <= 10 for value in row[2:8])
        assert len(row.tags) <= 10
    for night in told.nights:
        assert night.asleep_at < night.awake_at <= night.received_at <= now
        assert 0 <= night.minutes <= (night.awake_at - night.asleep_at) / timedelta(minutes=1)
        assert 0 <= night.quality <= 10
        assert 0 <= night.awakenings <= 100
    for bout in told.bouts:
        assert bout.started_at < bout.received_at <= now
        assert 10 <= bout.minutes <= 150
    for day in told.meals:
        assert day.received_at <= now
        assert (0 <= day.meals <= 20, 0 <= day.water_ml <= 20_000, 0 <= day.quality <= 10) == (True, True, True)
    for answer in told.answers:
        assert answer.received_at <= now
        assert answer.used == (answer.amount is not None)
    for effect in told.effects:
        session = told.sessions[effect.session]
        assert session.started_at <= effect.started_at <= effect.ended_at <= effect.received_at <= now
        assert 1 <= effect.severity <= 3
    for session in told.sessions:
        assert session.arrived_at <= now
        if session.started_at is None:
            assert session.planned_at > now
        else:
            assert timedelta(minutes=40) <= session.ended_at - session.started_at <= timedelta(minutes=60)


@given(profile=profiles(), seed=st.text(max_size=5))
@settings(max_examples=10, deadline=None)
def test_the_same_seed_tells_the_same_life(profile, seed):
    assert life.live(profile, since=SINCE, now=NOW, seed=seed) == life.live(profile, since=SINCE, now=NOW, seed=seed)


@given(days=st.integers(1, 200), sessions=st.lists(st.integers(-60, 200), max_size=12), hold=st.floats(8, 240))
def test_a_gain_is_a_share_from_0_to_1(days, sessions, hold):
    assert all(0 <= lift <= 1 for lift in curve.lifts(days=days, sessions=sorted(sessions), hold=hold))


@given(hold=st.floats(8, 240), day=st.floats(0, 400))
def test_without_a_session_a_gain_only_fades(hold, day):
    assert curve.fade(day + 1, hold=hold) <= curve.fade(day, hold=hold)


def test_a_gain_comes_within_two_days_and_six_sessions_bring_most_of_it():
    lifts = curve.lifts(days=60, sessions=(10, 13, 17, 20, 24, 27), hold=45)
    assert lifts[9] == 0
    assert lifts[12] > 0.3
    assert lifts[29] > 0.9


def test_half_of_the_responders_lose_half_of_it_within_2_to_8_weeks_of_the_last_session():
    rng = Random(7)  # noqa: S311
    holds = [curve.hold_days(rng) for _ in range(4000)]
    assert 0.44 < fmean(14 <= hold <= 56 for hold in holds) < 0.56
    assert abs(curve.fade(45, hold=45) - 0.5) < 0.01


@pytest.mark.parametrize("seed", ["a", "b", "c", "d", "e", "f"])
def test_a_responder_is_brighter_after_the_induction_and_duller_again_without_maintenance(seed):
    profile = Profile(time_zone="Asia/Kolkata", low=3, gain=4, hold=30, sessions=(60, 63, 67, 70, 74, 77), diligence=1)
    moods = _by_day(profile, seed)
    before, after, late = moods(30, 60), moods(77, 91), moods(140, 180)
    assert after - before > 2
    assert late - before < 1


@pytest.mark.parametrize("seed", ["a", "b", "c", "d"])
def test_maintenance_keeps_the_gain(seed):
    profile = Profile(
        time_zone="Asia/Kolkata", low=3, gain=4, hold=30, sessions=(60, 63, 67, 70, 74, 77, 95, 113, 131, 149, 167),
        diligence=1,
    )  # fmt: skip
    moods = _by_day(profile, seed)
    assert moods(140, 180) - moods(30, 60) > 2


def test_what_was_said_off_the_network_arrives_in_one_batch_days_later():
    profile = Profile(time_zone="Asia/Kolkata", diligence=1, a_day=2, offline=((40, 43),))
    told = life.live(profile, since=SINCE, now=NOW, seed="x")
    zone = clock.zone("Asia/Kolkata")
    batch = [row for row in told.check_ins if 40 <= (row.felt_at.astimezone(zone).date() - SINCE).days <= 43]
    assert len(batch) >= 4
    assert len({row.received_at for row in batch}) == 1
    assert max(row.received_at - row.felt_at for row in batch) > timedelta(days=3)


def _by_day(profile, seed):
    told = life.live(profile, since=SINCE, now=NOW, seed=seed)
    zone = clock.zone(profile.time_zone)
    values = [((row.felt_at.astimezone(zone).date() - SINCE).days, row.mood) for row in told.check_ins]
    return lambda first, last: fmean(mood for day, mood in values if first <= day < last)


TODAY = NOW.astimezone(clock.zone("Asia/Kolkata")).date()


def test_the_cast_is_forty_in_mumbai_and_a_few_elsewhere():
    people = cast.patients(today=TODAY)
    assert sum(p.house == "mumbai" for p in people) == 40
    assert {p.profile.time_zone for p in people} >= set(ZONES[:4])
    assert len({p.key for p in people} | {w.key for w in cast.WORKERS}) == len(people) + len(cast.WORKERS)
    assert sum("psychiatrist" not in p.team for p in people if p.house == "mumbai") == 2


def test_the_cast_is_the_same_at_every_load():
    assert cast.patients(today=TODAY) == cast.patients(today=TODAY)


def test_about_half_of_the_cast_respond():
    responders = [p for p in cast.patients(today=TODAY) if p.profile.gain > 2]
    assert 18 <= len(responders) <= 30


def test_one_is_relapsing_one_silent_for_four_days_and_one_very_low():
    lives = {
        p.key: life.live(p.profile, since=TODAY - timedelta(days=cast.TODAY), now=NOW, seed=f"{cast.SEED}/{p.key}")
        for p in cast.patients(today=TODAY)[:5]
    }

    def mood(key, first, last):
        zone = clock.zone("Asia/Kolkata")
        return fmean(
            row.mood
            for row in lives[key].check_ins
            if first <= (TODAY - row.felt_at.astimezone(zone).date()).days < last
        )

    relapsing = "other.patient"
    assert mood(relapsing, 35, 43) - mood(relapsing, 0, 10) > 2
    silent = lives["sunita.rao"].check_ins[-1]
    assert (TODAY - silent.felt_at.astimezone(clock.zone("Asia/Kolkata")).date()).days == 4
    assert mood("imran.shaikh", 0, 9) < 2.2
    assert lives["patient"].check_ins[-1].felt_at.astimezone(clock.zone("Asia/Kolkata")).date() < TODAY
