"""Why a patient stands where they stand in the panel: the reason in words, never a diagnosis, never a guess."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.insights.attention import WINDOW_DAYS, Glance, Level, Standing, Visit, standing
from backend.insights.series import rolling_means

NOW = datetime(2026, 11, 24, 13, 8, tzinfo=UTC)  # 18:38 in Mumbai
TODAY = date(2026, 11, 24)
ZONE = "Asia/Kolkata"


def glance(means: list[float | None] | None = None, **more: object) -> Glance:
    given_means = [6.0] * WINDOW_DAYS if means is None else means
    answered = [at for at, mean in enumerate(given_means) if mean is not None]
    last_on = TODAY - timedelta(days=WINDOW_DAYS - 1 - answered[-1]) if answered else None
    usual = Glance(
        today=TODAY,
        means=given_means,
        answers=[0 if mean is None else 1 for mean in given_means],
        means_7d=rolling_means(given_means),
        last_at=NOW - (TODAY - last_on) if last_on else None,
        last_on=last_on,
        last_mood=6 if answered else None,
    )
    return msgspec.structs.replace(usual, **more)


def told(given_glance: Glance) -> Standing:
    return standing(given_glance, now=NOW, zone=ZONE)


def silent(days: int) -> list[float | None]:
    return [6.0] * (WINDOW_DAYS - days) + [None] * days


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def test_a_quiet_patient_is_steady_and_says_why() -> None:
    found = told(glance())
    assert found.level is Level.STEADY
    assert [(r.code, r.text) for r in found.reasons] == [("steady", "Much as in the four weeks before")]
    assert found.reasons[0].detail == "Answered 7 of 7 days"
    assert (found.mood, found.before, found.answered_7) == (6.0, 6.0, 7)


@pytest.mark.parametrize(
    ("days", "level", "text"),
    [
        (1, Level.STEADY, "Much as in the four weeks before"),
        (2, Level.WATCH, "Silent for 2 days"),
        (3, Level.TODAY, "Silent for 3 days"),
        (4, Level.TODAY, "Silent for 4 days"),
    ],
)
def test_silence_is_said_from_two_days_and_presses_from_three(days: int, level: Level, text: str) -> None:
    found = told(glance(silent(days)))
    assert (found.level, found.reasons[0].text) == (level, text)


@pytest.mark.parametrize(
    ("since", "level"), [(9, Level.WATCH), (10, Level.TODAY), (60, Level.TODAY), (61, Level.WATCH)]
)
def test_silence_in_the_high_risk_weeks_presses_at_once(since: int, level: Level) -> None:
    found = told(glance(silent(2), last_session_on=ago(since)))
    assert found.level is level
    assert found.reasons[0].text.endswith(", in the high-risk weeks") == (level is Level.TODAY)
    assert found.reasons[0].detail == "Last mood was 6, on Sun 22 Nov"


def test_a_day_missed_is_no_silence_before_48_hours_are_over() -> None:
    last = datetime(2026, 11, 22, 13, 9, tzinfo=UTC)
    means = silent(2)
    assert told(glance(means, last_at=last)).level is Level.STEADY
    assert told(glance(means, last_at=last - timedelta(minutes=1))).reasons[0].text == "Silent for 2 days"


def test_the_mean_told_is_the_one_that_the_line_ends_with() -> None:
    found = told(glance([6.0] * 28 + [8.0, 8.0, 8.0, None, None, None, None]))
    assert (found.mood_on, found.mood) == (ago(4), pytest.approx((4 * 6 + 3 * 8) / 7))
    assert told(glance(silent(8))).mood is None


def test_who_never_answered_is_watched_and_not_called_silent() -> None:
    found = told(glance([None] * WINDOW_DAYS))
    assert (found.level, found.reasons[0].code, found.silent_days) == (Level.WATCH, "no_entry", 0)


@pytest.mark.parametrize(
    ("recent", "level", "code"),
    [(6.0, Level.STEADY, "steady"), (4.6, Level.STEADY, "steady"), (4.5, Level.WATCH, "mood_lower"),
     (3.5, Level.TODAY, "mood_lower")],
)  # fmt: skip
def test_a_lower_week_is_held_against_the_four_before(recent: float, level: Level, code: str) -> None:
    found = told(glance([6.0] * 28 + [recent] * 7))
    assert (found.level, found.reasons[0].code) == (level, code)


def test_a_lower_week_tells_both_figures_and_the_day_after_the_session() -> None:
    found = told(glance([6.4] * 28 + [3.1] * 7, last_session_on=ago(28)))
    assert found.level is Level.TODAY
    assert found.reasons[0].text == "Mood lower than the four weeks before"
    assert found.reasons[0].detail == "Mean of 7 days 3.1, before that 6.4; day 28 after the last session"


def test_a_week_that_a_session_lifted_is_not_what_the_next_is_measured_by() -> None:
    # Two bright days around a session, else the same: without them nothing is lower.
    means: list[float | None] = [None] * 17 + [5.0] * 9 + [10.0] * 2 + [4.0] * 7
    means[20:26] = [None] * 6
    near = frozenset({26})
    assert told(glance(means, session_days=near)).reasons[0].code != "mood_lower"


def test_too_few_days_compare_nothing() -> None:
    assert told(glance([None] * 25 + [9.0] * 3 + [5.0] * 7)).reasons[0].text.startswith("Too early to compare")
    assert told(glance([9.0] * 28 + [None] * 3 + [2.0, None, None, 2.0])).reasons[0].code != "mood_lower"


def test_brighter_is_steady_and_said() -> None:
    assert told(glance([4.0] * 28 + [6.0] * 7)).reasons[0].text == "Brighter than the four weeks before"


@pytest.mark.parametrize(("days", "when"), [(0, "today"), (1, "yesterday"), (3, "on Saturday")])
def test_a_lapse_is_told_without_judgement_for_three_days(days: int, when: str) -> None:
    found = told(glance(last_use=("alcohol", ago(days))))
    assert (found.level, found.reasons[0].text) == (Level.WATCH, f"Logged a lapse {when}")
    assert told(glance(last_use=("alcohol", ago(4)))).level is Level.STEADY


def hours(n: float, **more: object) -> Visit:
    return Visit(kind="session", at=NOW + timedelta(hours=n), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("visit", "level", "text"),
    [
        (hours(2), Level.TODAY, "Session today 20:38"),
        (hours(16), Level.WATCH, "Session tomorrow 10:38"),
        (hours(47), Level.WATCH, "Session Thu 26 Nov 17:38"),
        (hours(49), Level.STEADY, "Much as in the four weeks before"),
        (hours(-1), Level.STEADY, "Much as in the four weeks before"),
        (hours(2, mine=False), Level.STEADY, "Much as in the four weeks before"),
        (hours(300, move_asked=True), Level.TODAY, "Asked to move the session on Mon 7 Dec"),
    ],
)
def test_a_visit_counts_when_it_is_near_and_the_readers(visit: Visit, level: Level, text: str) -> None:
    found = told(glance(visits=[visit]))
    assert (found.level, found.reasons[0].text) == (level, text)


def test_the_most_pressing_reason_comes_first() -> None:
    found = told(glance(silent(2), last_use=("alcohol", ago(2)), visits=[hours(1)]))
    assert [reason.code for reason in found.reasons] == ["soon", "silent", "lapse"]
    assert found.level is Level.TODAY


@given(
    means=st.lists(st.none() | st.floats(0, 10), min_size=WINDOW_DAYS, max_size=WINDOW_DAYS),
    since=st.none() | st.integers(0, 400),
    near=st.sets(st.integers(0, WINDOW_DAYS - 1)),
)
def test_any_life_has_a_place_and_a_reason_that_alarms_nobody(
    means: list[float | None], since: int | None, near: set[int]
) -> None:
    last = None if since is None else ago(since)
    found = told(glance(means, last_session_on=last, session_days=frozenset(near)))
    assert found.reasons
    assert found.level is found.reasons[0].level
    assert found.level is not Level.NOW
    said = " ".join(f"{reason.text} {reason.detail}" for reason in found.reasons).lower()
    assert not any(word in said for word in ("relapse", "fail", "complian", "depress", "worse", "risk detected", "!"))
