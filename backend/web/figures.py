"""The strip of four figures above the chart, each with its yardstick beneath. Pure."""

from statistics import fmean

from backend.insights import words
from backend.insights.panel import Row
from backend.insights.series import Series
from backend.web.numbers import NOTHING

_WEEK, _BEFORE = 7, 28


def strip(*, series: Series, row: Row) -> list[dict[str, str]]:
    """Mood, sleep, days since the last session, days answered. A dash says why there is no number."""
    return [_mood(row), _sleep(series), _since(series, row), _answered(row)]


def _figure(name: str, value: str, unit: str, yardstick: str) -> dict[str, str]:
    return {"name": name, "value": value, "unit": unit, "yardstick": yardstick}


def _mood(row: Row) -> dict[str, str]:
    standing = row.standing
    if standing.mood is None:
        return _figure("Mood, 7-day mean", NOTHING, "", "needs 4 days of 7 with an entry")
    before = "too few days before to compare"
    if standing.before is not None:
        before = f"four weeks before {words.one_decimal(standing.before)}"
    if standing.mood_on is not None and standing.mood_on != row.glance.today:
        before = f"on {words.short(standing.mood_on)}; {before}"
    return _figure("Mood, 7-day mean", words.one_decimal(standing.mood), "of 10", before)


def _sleep(series: Series) -> dict[str, str]:
    nights = [day.sleep.minutes if day.sleep else None for day in series.trend.days]
    lately = [minutes for minutes in nights[-_WEEK:] if minutes is not None]
    before = [minutes for minutes in nights[-_WEEK - _BEFORE : -_WEEK] if minutes is not None]
    if not lately:
        return _figure("Sleep, 7 nights", NOTHING, "", "no night noted this week")
    yardstick = f"four weeks before {words.hours(fmean(before))}" if before else "no nights before to compare"
    return _figure("Sleep, 7 nights", f"{fmean(lately) / 60:.1f}", "h a night", yardstick)


def _since(series: Series, row: Row) -> dict[str, str]:
    days = row.standing.since_session_days
    if days is None or row.glance.last_session_on is None:
        return _figure("Since last session", NOTHING, "", "no session yet")
    held = [session for session in series.sessions if session.dose_mg is not None]
    facts = [words.short(row.glance.last_session_on)]
    if held:
        facts.append(f"{words.dose(held[-1].dose_mg or 0)} mg")
    if row.route:
        facts.append(row.route)
    return _figure("Since last session", str(days), "day" if days == 1 else "days", ", ".join(facts))


def _answered(row: Row) -> dict[str, str]:
    week = list(row.glance.answers[-_WEEK:])
    days = sum(1 for count in week if count)
    if days == _WEEK:
        yardstick = "every day"
    elif row.standing.silent_days:
        yardstick = f"silent for {words.counted(row.standing.silent_days, 'day')}"
    elif not days:
        yardstick = "no entry this week"
    else:
        yardstick = f"{words.counted(_WEEK - days, 'day')} without an entry"
    return _figure("Answered, 7 days", str(days), "of 7", yardstick)
