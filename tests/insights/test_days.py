"""A day is the patient's day, in every zone, across every clock change and every journey."""

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.insights.days import BadSpan, Span, day_of, day_starts, span_of, zone_at

EVER = datetime(1970, 1, 1, tzinfo=UTC)
# Half-hour and quarter-hour zones, a skipped date, changes at midnight, a half-hour change, both hemispheres.
ZONES = [
    "Asia/Kolkata",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "America/Havana",
    "Asia/Beirut",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Pacific/Chatham",
    "America/Toronto",
    "UTC",
]


def home(name: str) -> list[tuple[str, datetime]]:
    return [(name, EVER)]


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, datetime]]:
    """One to four zones, at increasing instants around the range under test."""
    names = draw(st.lists(st.sampled_from(ZONES), min_size=1, max_size=4))
    minutes = draw(
        st.lists(st.integers(0, 40 * 24 * 60), min_size=len(names) - 1, max_size=len(names) - 1, unique=True)
    )
    opens = datetime(2011, 12, 15, tzinfo=UTC)
    moves = [EVER, *(opens + timedelta(minutes=m) for m in sorted(minutes))]
    return [(name, at) for name, at in zip(names, moves, strict=True)]


def shown(zones: list[tuple[str, datetime]], at: datetime) -> date:
    """What the person's calendar shows at an instant."""
    return at.astimezone(ZoneInfo(zone_at(zones=zones, at=at))).date()


@given(name=st.sampled_from(ZONES), since=st.dates(date(1915, 1, 1), date(2037, 1, 1)), length=st.integers(0, 40))
def test_at_home_a_day_starts_when_the_calendar_turns(name: str, since: date, length: int) -> None:
    starts = day_starts(zones=home(name), since=since, until=since + timedelta(days=length))
    assert len(starts) == length + 1
    assert starts == sorted(starts)
    for position, start in enumerate(starts):
        day = since + timedelta(days=position)
        assert shown(home(name), start) >= day
        assert shown(home(name), start - timedelta(seconds=1)) < day


@given(zones=histories(), since=st.dates(date(2011, 12, 10), date(2012, 1, 20)), length=st.integers(0, 30))
def test_whoever_travels_has_each_day_once_and_in_order(
    zones: list[tuple[str, datetime]], since: date, length: int
) -> None:
    starts = day_starts(zones=zones, since=since, until=since + timedelta(days=length))
    assert starts == sorted(starts)
    for position, start in enumerate(starts):
        day = since + timedelta(days=position)
        assert shown(zones, start) >= day
        # Nothing before the start ever showed the day, however far back one looks.
        assert all(shown(zones, start - timedelta(minutes=m, seconds=1)) < day for m in (0, 7, 59, 600, 1500, 4000))


@given(zones=histories(), minutes=st.integers(0, 45 * 24 * 60))
def test_an_instant_lies_in_the_day_whose_bounds_hold_it(zones: list[tuple[str, datetime]], minutes: int) -> None:
    at = datetime(2011, 12, 12, tzinfo=UTC) + timedelta(minutes=minutes)
    day = day_of(zones=zones, at=at)
    opens, closes = day_starts(zones=zones, since=day, until=day + timedelta(days=1))
    assert opens <= at < closes


@pytest.mark.parametrize(
    ("name", "day", "start"),
    [
        ("Asia/Kolkata", date(2026, 11, 24), datetime(2026, 11, 23, 18, 30, tzinfo=UTC)),
        ("Asia/Kathmandu", date(2026, 11, 24), datetime(2026, 11, 23, 18, 15, tzinfo=UTC)),
        # Havana and Beirut skip midnight itself; Toronto in 1919 skipped from 23:30 to 00:30.
        ("America/Havana", date(2026, 3, 8), datetime(2026, 3, 8, 5, 0, tzinfo=UTC)),
        ("Asia/Beirut", date(2026, 3, 29), datetime(2026, 3, 28, 22, 0, tzinfo=UTC)),
        ("America/Toronto", date(1919, 3, 31), datetime(1919, 3, 31, 4, 30, tzinfo=UTC)),
        # Havana falls back from 01:00 to 00:00: midnight comes twice, the day starts at the first.
        ("America/Havana", date(2026, 11, 1), datetime(2026, 11, 1, 4, 0, tzinfo=UTC)),
    ],
)
def test_a_day_starts_at_the_known_instant(name: str, day: date, start: datetime) -> None:
    assert day_starts(zones=home(name), since=day, until=day) == [start]


def test_the_date_that_apia_skipped_has_no_length() -> None:
    starts = day_starts(zones=home("Pacific/Apia"), since=date(2011, 12, 29), until=date(2012, 1, 1))
    lengths = [(b - a) // timedelta(hours=1) for a, b in itertools.pairwise(starts)]
    assert lengths == [24, 0, 24]


def test_clock_changes_make_days_of_23_25_and_half_hours() -> None:
    def hours(name: str, day: date) -> float:
        opens, closes = day_starts(zones=home(name), since=day, until=day + timedelta(days=1))
        return (closes - opens) / timedelta(hours=1)

    assert hours("Europe/London", date(2026, 3, 29)) == 23
    assert hours("Europe/London", date(2026, 10, 25)) == 25
    assert hours("Australia/Lord_Howe", date(2026, 10, 4)) == 23.5


def test_flying_east_over_midnight_starts_the_day_on_arrival() -> None:
    lands = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)  # 21:00 of the 23rd in New York, 07:30 of the 24th in Mumbai
    zones = [("America/New_York", EVER), ("Asia/Kolkata", lands)]
    assert day_starts(zones=zones, since=date(2026, 11, 24), until=date(2026, 11, 24)) == [lands]


def test_flying_west_over_midnight_stays_in_the_day_begun() -> None:
    lands = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)  # 01:30 of the 24th in Mumbai, 15:00 of the 23rd in New York
    zones = [("Asia/Kolkata", EVER), ("America/New_York", lands)]
    opens, closes = day_starts(zones=zones, since=date(2026, 11, 24), until=date(2026, 11, 25))
    assert opens == datetime(2026, 11, 23, 18, 30, tzinfo=UTC)
    assert closes == datetime(2026, 11, 25, 5, 0, tzinfo=UTC)
    assert day_of(zones=zones, at=lands) == date(2026, 11, 24)


def test_no_zone_or_a_range_backwards_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one time zone"):
        day_starts(zones=[], since=date(2026, 1, 1), until=date(2026, 1, 2))
    with pytest.raises(ValueError, match="until is before since"):
        day_starts(zones=home("UTC"), since=date(2026, 1, 2), until=date(2026, 1, 1))


TODAY = date(2026, 11, 24)


def test_the_default_range_is_ninety_days_that_end_with_today() -> None:
    assert span_of(today=TODAY) == Span(date(2026, 8, 27), date(2026, 11, 25))
    assert span_of(today=TODAY, days=1) == Span(TODAY, date(2026, 11, 25))


def test_days_count_back_from_until_and_on_from_since() -> None:
    assert span_of(today=TODAY, days=7, until=date(2026, 3, 8)) == Span(date(2026, 3, 1), date(2026, 3, 8))
    assert span_of(today=TODAY, days=7, since=date(2026, 3, 1)) == Span(date(2026, 3, 1), date(2026, 3, 8))
    assert span_of(today=TODAY, since=date(2026, 11, 1)) == Span(date(2026, 11, 1), date(2026, 11, 25))


@pytest.mark.parametrize(
    ("asked", "field", "code"),
    [
        ({"days": 0}, "days", "out_of_range"),
        ({"days": -3}, "days", "out_of_range"),
        ({"days": 10**19}, "days", "out_of_range"),
        ({"since": date(1, 1, 1)}, "since", "out_of_range"),
        ({"until": date(9999, 12, 31)}, "until", "out_of_range"),
        ({"since": date(2026, 3, 2), "until": date(2026, 3, 2)}, "until", "not_after_since"),
        ({"since": date(1990, 1, 1)}, "since", "too_long"),
        ({"days": 3, "since": date(2026, 3, 2), "until": date(2026, 3, 5)}, "days", "too_many"),
    ],
)
def test_a_range_that_makes_no_sense_names_its_field(asked: dict[str, date], field: str, code: str) -> None:
    with pytest.raises(BadSpan) as refused:
        span_of(today=TODAY, **asked)  # type: ignore[arg-type]
    assert (refused.value.field, refused.value.code) == (field, code)


@given(
    days=st.none() | st.integers(),
    since=st.none() | st.dates(),
    until=st.none() | st.dates(),
    today=st.dates(date(2020, 1, 1), date(2100, 1, 1)),
)
def test_any_range_is_either_refused_or_usable(
    days: int | None, since: date | None, until: date | None, today: date
) -> None:
    try:
        span = span_of(today=today, days=days, since=since, until=until)
    except BadSpan:
        return
    starts = day_starts(zones=home("Pacific/Apia"), since=span.since - timedelta(days=6), until=span.until)
    assert len(starts) == (span.until - span.since).days + 7
