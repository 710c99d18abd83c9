"""Series are right in every zone: properties over zones, rules and anchors, and the cases that others get wrong."""
# ruff: noqa: DTZ001  (wall times are naive on purpose)

import warnings
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backend.common import clock
from backend.reminders import recurrence
from backend.reminders.walltime import instant, wall

ZONES = (
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "Asia/Tehran",
    "America/St_Johns",
    "Pacific/Chatham",
    "UTC",
)
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

zones = st.sampled_from(ZONES)
anchors = st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1)).map(lambda at: at.replace(microsecond=0))


def listed(numbers, most=3):
    return st.lists(numbers, min_size=1, max_size=most, unique=True).map(lambda items: ",".join(map(str, items)))


@st.composite
def rules(draw, *, count=True):
    freq = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY"]))
    parts = {"FREQ": freq}
    if draw(st.booleans()):
        parts["INTERVAL"] = draw(st.integers(1, 4))
    plain = st.sampled_from(DAYS)
    numbered = st.builds(lambda n, d: f"{n}{d}", st.sampled_from([-2, -1, 1, 2, 3, 5]), plain)
    if draw(st.booleans()):
        # dateutil reads a mixture such as `MO,1FR` as both at once, so the comparison leaves mixtures out.
        parts["BYDAY"] = draw(listed(numbered if freq == "MONTHLY" and draw(st.booleans()) else plain))
    if freq != "WEEKLY" and draw(st.integers(0, 2)) == 0:
        parts["BYMONTHDAY"] = draw(listed(st.sampled_from([1, 2, 13, 15, 28, 29, 30, 31, -1, -2, -15])))
    if draw(st.booleans()):
        parts["BYHOUR"] = draw(listed(st.integers(0, 23)))
    if draw(st.booleans()):
        parts["BYMINUTE"] = draw(listed(st.sampled_from([0, 15, 30, 59])))
    if len(parts.keys() & {"BYDAY", "BYMONTHDAY", "BYHOUR", "BYMINUTE"}) and draw(st.integers(0, 3)) == 0:
        parts["BYSETPOS"] = draw(listed(st.sampled_from([1, 2, 3, -1, -2]), most=2))
    if count and draw(st.integers(0, 2)) == 0:
        parts["COUNT"] = draw(st.integers(1, 40))
    return ";".join(f"{name}={value}" for name, value in parts.items())


def first(text, *, start, zone, limit=30):
    series = recurrence.occurrences(recurrence.parse(text), start=start, zone=clock.zone(zone))
    return list(islice(series, limit))


def walls(text, *, start, zone, limit=30):
    return [f"{wall(at, clock.zone(zone)):%Y-%m-%d %H:%M}" for at in first(text, start=start, zone=zone, limit=limit)]


@settings(max_examples=400, deadline=None)
@given(text=rules(), start=anchors, zone=zones)
def test_the_series_is_what_another_engine_says_wherever_every_local_time_exists(text, start, zone):
    info, end = clock.zone(zone), start + timedelta(days=1500)
    # Theirs looks for the next one to the year 9999; a series that has ended would take seconds each.
    assume(recurrence.next_after(recurrence.parse(text), start=start, zone=info, after=end.replace(tzinfo=UTC)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = list(islice(rrulestr(f"{text};UNTIL={end:%Y%m%dT%H%M%S}", dtstart=start), 40))
    expected = [instant(local, info) for local in theirs]
    assume(all(wall(at, info) == local for at, local in zip(expected, theirs, strict=True)))
    assert first(text, start=start, zone=zone, limit=len(expected)) == expected


@settings(max_examples=300, deadline=None)
@given(text=rules(), start=anchors, zone=zones)
def test_instants_rise_and_none_comes_twice(text, start, zone):
    found = first(text, start=start, zone=zone)
    assert all(earlier < later for earlier, later in pairwise(found))


@settings(max_examples=300, deadline=None)
@given(text=rules(), start=anchors, zone=zones)
def test_wall_time_is_kept_across_clock_changes(text, start, zone):
    rule, info = recurrence.parse(text), clock.zone(zone)
    times = {(h, m) for h in rule.by_hour or (start.hour,) for m in rule.by_minute or (start.minute,)}
    for at in first(text, start=start, zone=zone):
        local = wall(at, info)
        assert (local.hour, local.minute) in times or moved_by_gap(local, info, times)
        assert at.astimezone(info).fold == 0


def moved_by_gap(local, info, times):
    """Whether some named time of that day or the day before does not exist there and was moved to `local`."""
    candidates = [
        datetime(local.year, local.month, local.day, h, m, local.second) - timedelta(days=back)
        for h, m in times
        for back in (0, 1)
    ]
    return any(wall(instant(c, info), info) == local for c in candidates)


@settings(max_examples=200, deadline=None)
@given(text=rules(), start=anchors, zone=zones, ahead=st.integers(-400, 4000), second=st.integers(0, 86_399))
def test_the_next_one_after_any_instant_is_the_same_as_walking_there(text, start, zone, ahead, second):
    rule, info = recurrence.parse(text), clock.zone(zone)
    after = start.replace(tzinfo=UTC) + timedelta(days=ahead, seconds=second)
    walked = None
    for at in recurrence.occurrences(rule, start=start, zone=info):
        if at > after or at.year > after.year + 12:
            walked = at
            break
    if walked is None or walked > after:
        assert recurrence.next_after(rule, start=start, zone=info, after=after) == walked


@settings(max_examples=100, deadline=None)
@given(text=rules(count=False), start=anchors, zone=zones, days=st.integers(0, 500))
def test_spans_that_touch_share_no_instant_and_leave_none_out(text, start, zone, days):
    rule, info = recurrence.parse(text), clock.zone(zone)
    since = start.replace(tzinfo=UTC) + timedelta(days=days)
    middle, until = since + timedelta(days=17, hours=5), since + timedelta(days=40)
    ask = {"start": start, "zone": info}
    halves = recurrence.between(rule, **ask, since=since, until=middle) + recurrence.between(
        rule, **ask, since=middle, until=until
    )
    assert halves == recurrence.between(rule, **ask, since=since, until=until)


def test_new_york_keeps_nine_in_the_evening_in_summer_and_winter():
    found = first("FREQ=MONTHLY", start=datetime(2026, 1, 15, 21), zone="America/New_York", limit=12)
    assert [at.hour for at in found] == [2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2]


def test_new_york_half_past_two_moves_to_half_past_three_for_one_night_only():
    assert walls("FREQ=DAILY", start=datetime(2026, 3, 7, 2, 30), zone="America/New_York", limit=3) == [
        "2026-03-07 02:30",
        "2026-03-08 03:30",
        "2026-03-09 02:30",
    ]


def test_new_york_half_past_one_comes_once_in_the_night_that_has_two_of_them():
    found = first("FREQ=DAILY", start=datetime(2026, 10, 31, 1, 30), zone="America/New_York", limit=3)
    assert [at.isoformat() for at in found] == [
        "2026-10-31T05:30:00+00:00",
        "2026-11-01T05:30:00+00:00",
        "2026-11-02T06:30:00+00:00",
    ]


def test_london_moves_one_in_the_morning_to_two():
    assert walls("FREQ=DAILY", start=datetime(2026, 3, 28, 1, 15), zone="Europe/London", limit=3) == [
        "2026-03-28 01:15",
        "2026-03-29 02:15",
        "2026-03-30 01:15",
    ]


def test_lord_howe_moves_by_half_an_hour():
    assert walls("FREQ=DAILY", start=datetime(2026, 10, 3, 2, 15), zone="Australia/Lord_Howe", limit=3) == [
        "2026-10-03 02:15",
        "2026-10-04 02:45",
        "2026-10-05 02:15",
    ]


def test_a_moved_reminder_that_meets_another_is_one_with_it():
    rule = "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=30"
    assert walls(rule, start=datetime(2026, 3, 7, 12), zone="America/New_York", limit=3) == [
        "2026-03-08 03:30",
        "2026-03-09 02:30",
        "2026-03-09 03:30",
    ]


def test_a_moved_reminder_takes_its_place_among_later_ones():
    rule = "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=0,45"
    assert walls(rule, start=datetime(2026, 3, 8), zone="America/New_York", limit=3) == [
        "2026-03-08 03:00",
        "2026-03-08 03:45",
        "2026-03-09 02:00",
    ]


def test_kolkata_and_kathmandu_are_exact_all_year():
    for zone, minutes in (("Asia/Kolkata", 330), ("Asia/Kathmandu", 345)):
        found = first("FREQ=WEEKLY;BYDAY=MO,TH", start=datetime(2026, 1, 1, 21), zone=zone, limit=104)
        assert {(at + timedelta(minutes=minutes)).hour for at in found} == {21}
        assert len(found) == 104


def test_apia_the_day_that_never_was_is_one_with_the_day_after():
    assert walls("FREQ=DAILY", start=datetime(2011, 12, 29, 9), zone="Pacific/Apia", limit=3) == [
        "2011-12-29 09:00",
        "2011-12-31 09:00",
        "2012-01-01 09:00",
    ]


def test_casablanca_keeps_the_wall_time_in_and_after_ramadan():
    found = walls("FREQ=DAILY", start=datetime(2026, 2, 1, 20), zone="Africa/Casablanca", limit=90)
    assert {local[-5:] for local in found} == {"20:00"}
    assert len(set(first("FREQ=DAILY", start=datetime(2026, 2, 1, 20), zone="Africa/Casablanca", limit=90))) == 90


def test_the_thirty_first_is_left_out_of_short_months_and_never_drifts():
    assert walls("FREQ=MONTHLY", start=datetime(2026, 1, 31, 9), zone="Asia/Kolkata", limit=4) == [
        "2026-01-31 09:00",
        "2026-03-31 09:00",
        "2026-05-31 09:00",
        "2026-07-31 09:00",
    ]
    last_days = walls("FREQ=MONTHLY;BYMONTHDAY=-1", start=datetime(2026, 1, 31, 9), zone="Asia/Kolkata", limit=3)
    assert last_days == ["2026-01-31 09:00", "2026-02-28 09:00", "2026-03-31 09:00"]


def test_the_twenty_ninth_of_february_comes_in_leap_years_only():
    found = walls("FREQ=MONTHLY;INTERVAL=12", start=datetime(2024, 2, 29, 9), zone="Europe/London", limit=3)
    assert found == ["2024-02-29 09:00", "2028-02-29 09:00", "2032-02-29 09:00"]


def test_start_is_an_occurrence_only_where_the_rule_names_it():
    assert walls("FREQ=WEEKLY;BYDAY=MO;COUNT=2", start=datetime(2026, 11, 24, 9), zone="Asia/Kolkata") == [
        "2026-11-30 09:00",
        "2026-12-07 09:00",
    ]


def test_plain_and_numbered_weekdays_mix():
    assert walls("FREQ=MONTHLY;BYDAY=MO,1FR;COUNT=6", start=datetime(2026, 11, 1, 9), zone="Asia/Kolkata") == [
        "2026-11-02 09:00",
        "2026-11-06 09:00",
        "2026-11-09 09:00",
        "2026-11-16 09:00",
        "2026-11-23 09:00",
        "2026-11-30 09:00",
    ]


def test_exceptions_take_away_and_extra_dates_add_and_count_is_counted_before_both():
    rule = "FREQ=DAILY;COUNT=4\nEXDATE:20261102T090000,20261104T033000Z\nRDATE:20261110T120000,20261101T090000"
    assert walls(rule, start=datetime(2026, 11, 1, 9), zone="Asia/Kolkata") == [
        "2026-11-01 09:00",
        "2026-11-03 09:00",
        "2026-11-10 12:00",
    ]


def test_an_end_in_utc_and_an_end_on_the_wall_are_both_included():
    for until in ("20261103T090000", "20261103T033000Z"):
        found = walls(f"FREQ=DAILY;UNTIL={until}", start=datetime(2026, 11, 1, 9), zone="Asia/Kolkata")
        assert found == ["2026-11-01 09:00", "2026-11-02 09:00", "2026-11-03 09:00"]


@pytest.mark.parametrize("rule", ["FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=30", "FREQ=WEEKLY;BYSETPOS=8;BYDAY=MO"])
def test_a_rule_that_never_happens_ends_at_once(rule):
    assert first(rule, start=datetime(2026, 2, 1, 9), zone="Asia/Kolkata") == []


def test_the_end_of_the_calendar_ends_a_series_without_an_error():
    for zone in ("Pacific/Apia", "America/New_York", "Asia/Kolkata"):
        found = first("FREQ=MONTHLY;INTERVAL=12", start=datetime(2199, 12, 31, 23, 59), zone=zone, limit=10_000)
        assert len(found) == 9998 - 2198
        assert first("FREQ=MONTHLY;INTERVAL=95759", start=datetime(2020, 1, 31, 23, 59), zone=zone, limit=2)[1:] == []
    rule, info = recurrence.parse("FREQ=DAILY"), clock.zone("Asia/Kolkata")
    last = datetime(9999, 12, 31, 23, tzinfo=UTC)
    assert recurrence.next_after(rule, start=datetime(2026, 1, 1), zone=info, after=last) is None


def test_a_series_needs_a_plain_local_start():
    rule, info = recurrence.parse("FREQ=DAILY"), clock.zone("Asia/Kolkata")
    for start in (
        datetime(1, 1, 1),
        datetime(2200, 1, 1),
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1, microsecond=5),
    ):
        with pytest.raises(recurrence.RuleError):
            recurrence.occurrences(rule, start=start, zone=info)
