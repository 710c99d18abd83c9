"""Wall time, the day before, and quiet hours, across clock changes."""
# ruff: noqa: DTZ001  (wall times are naive on purpose)

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.common import clock
from backend.reminders.walltime import before, instant, out_of_quiet, quiet_span, wall

KOLKATA, NEW_YORK, LONDON = (clock.zone(name) for name in ("Asia/Kolkata", "America/New_York", "Europe/London"))
LORD_HOWE = clock.zone("Australia/Lord_Howe")


def test_a_skipped_time_moves_forward_by_the_gap_and_a_double_one_is_the_first():
    assert wall(instant(datetime(2026, 3, 8, 2, 30), NEW_YORK), NEW_YORK) == datetime(2026, 3, 8, 3, 30)
    assert wall(instant(datetime(2026, 10, 4, 2, 15), LORD_HOWE), LORD_HOWE) == datetime(2026, 10, 4, 2, 45)
    assert instant(datetime(2026, 11, 1, 1, 30), NEW_YORK) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


def test_an_instant_needs_a_plain_wall_time():
    with pytest.raises(ValueError, match="no offset"):
        instant(datetime(2026, 1, 1, tzinfo=UTC), LONDON)


def test_the_day_before_has_the_same_wall_time_across_a_clock_change():
    visit = instant(datetime(2026, 3, 29, 9), LONDON)  # the clocks went forward that night
    assert visit - before(visit, days=1, zone=LONDON) == timedelta(hours=23)
    assert wall(before(visit, days=1, zone=LONDON), LONDON) == datetime(2026, 3, 28, 9)


def test_two_hours_before_are_two_hours_by_the_clock_on_the_wall_or_not():
    visit = instant(datetime(2026, 3, 8, 4), NEW_YORK)
    assert visit - before(visit, minutes=120, zone=NEW_YORK) == timedelta(hours=2)
    assert wall(before(visit, minutes=120, zone=NEW_YORK), NEW_YORK) == datetime(2026, 3, 8, 1)


@pytest.mark.parametrize(
    ("at", "quiet"),
    [
        (datetime(2026, 11, 24, 21, 59), False),
        (datetime(2026, 11, 24, 22, 0), True),
        (datetime(2026, 11, 25, 3, 0), True),
        (datetime(2026, 11, 25, 6, 59), True),
        (datetime(2026, 11, 25, 7, 0), False),
    ],
)
def test_quiet_hours_cross_midnight_and_are_half_open(at, quiet):
    span = quiet_span(instant(at, KOLKATA), quiet_from=time(22), quiet_until=time(7), zone=KOLKATA)
    assert (span is not None) is quiet


def test_out_of_quiet_hours_goes_to_their_end_or_to_the_evening_before():
    at = instant(datetime(2026, 11, 25, 3), KOLKATA)
    hours = {"quiet_from": time(22), "quiet_until": time(7), "zone": KOLKATA}
    assert wall(out_of_quiet(at, **hours), KOLKATA) == datetime(2026, 11, 25, 7)
    assert wall(out_of_quiet(at, **hours, earlier=True), KOLKATA) == datetime(2026, 11, 24, 22)


def test_quiet_hours_within_a_day_work_too():
    at = instant(datetime(2026, 11, 25, 14), KOLKATA)
    assert wall(out_of_quiet(at, quiet_from=time(13), quiet_until=time(15), zone=KOLKATA), KOLKATA).hour == 15


def test_without_quiet_hours_nothing_moves():
    at = instant(datetime(2026, 11, 25, 3), KOLKATA)
    for ends in ((None, None), (time(7), time(7))):
        assert out_of_quiet(at, quiet_from=ends[0], quiet_until=ends[1], zone=KOLKATA) == at


@settings(max_examples=300, deadline=None)
@given(
    at=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),
    ends=st.tuples(st.times(), st.times()),
    zone=st.sampled_from([KOLKATA, NEW_YORK, LONDON, LORD_HOWE, clock.zone("Africa/Casablanca")]),
)
def test_what_left_the_quiet_hours_is_not_in_them(at, ends, zone):
    moved = out_of_quiet(at, quiet_from=ends[0], quiet_until=ends[1], zone=zone)
    assert at <= moved <= at + timedelta(hours=25)
    assert quiet_span(moved, quiet_from=ends[0], quiet_until=ends[1], zone=zone) is None
