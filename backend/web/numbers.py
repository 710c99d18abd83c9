"""The chart's numbers as a table; the read-out under the pointer takes its words from here. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from backend.insights import lanes, words
from backend.insights.series import Answer, Day, Marker, Series

NOTHING = "\u2013"  # a dash: nobody said anything, which is not zero


class NumberRow(NamedTuple):
    """One day: its name and a cell for each further column."""

    day: str
    cells: list[str]


def columns(series: Series) -> list[str]:
    """Day, Mood, 7-day mean, Sleep, Exercise, one for each substance spoken of, Session, Notes where there are any."""
    substances = [words.substance(code) for code in lanes.spoken_of(series)]
    notes = ["Notes"] if series.marked("annotation") else []
    return ["Day", "Mood", "7-day mean", "Sleep", "Exercise", *substances, "Session", *notes]


def rows(series: Series) -> list[NumberRow]:
    """Every day of the range, newest first."""
    days = series.trend.days
    years = len({day.on.year for day in days}) > 1
    substances = lanes.spoken_of(series)
    sessions: dict[int, list[Marker]] = {}
    for marker in series.marked("session"):
        sessions.setdefault(int(series.position_of(marker.at)), []).append(marker)
    notes = _notes(series)
    told = [
        NumberRow(
            day=f"{words.dated(day.on)} {day.on.year}" if years else words.dated(day.on),
            cells=[*_cells(day, series.answers[at], substances, sessions.get(at, ())), *notes[at]],
        )
        for at, day in enumerate(days)
    ]
    return told[::-1]


def _notes(series: Series) -> list[list[str]]:
    """For each day a cell that counts the annotations about it; no cells where there are none at all."""
    found = series.marked("annotation")
    counts = [0] * len(series.trend.days)
    for marker in found:
        first = max(int(series.position_of(marker.at)), 0)
        until = first + 1 if marker.ended_at is None else int(series.position_of(marker.ended_at))
        reaches_end = marker.ended_at is not None and marker.ended_at >= series.starts[-1]
        for at in range(first, len(counts) if reaches_end else max(until, first + 1)):
            counts[at] += 1
    return [[words.counted(count, "note") if count else NOTHING] if found else [] for count in counts]


def _cells(day: Day, answers: Sequence[Answer], substances: Sequence[str], sessions: Sequence[Marker]) -> list[str]:
    return [
        ", ".join(str(answer.mood) for answer in answers) or "no entry",
        "too few" if day.mean_7d is None else words.one_decimal(day.mean_7d),
        words.hours(day.sleep.minutes) if day.sleep and day.sleep.minutes is not None else NOTHING,
        f"{day.exercise.minutes} min" if day.exercise else NOTHING,
        *("lapse" if s in day.substances else "none" if s in day.abstained else NOTHING for s in substances),
        " and ".join(f"{words.dose(s.dose_mg)} mg" if s.dose_mg is not None else "held" for s in sessions),
    ]
