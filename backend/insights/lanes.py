"""The lanes of the trend chart, each drawn from plain values by the grammar of marks. Pure.

A lane takes the y where it may begin and returns the y where it ended. Wide drawings name a lane in the gutter at the
left, narrow ones in a line above it, so that the name stays in view on a phone.
"""

from datetime import timedelta
from itertools import pairwise
from statistics import fmean

from backend.insights import words
from backend.insights.frame import Frame
from backend.insights.series import Series
from backend.insights.svg import Drawing, path

# UI.md: the trail after a session fades over 21 days or until the next one; it claims no effect.
TRAIL_DAYS = 21


def sessions(pen: Drawing, frame: Frame, series: Series, *, top: float, falls_to: float, wash: str) -> float:
    """Ember diamonds with the dose above, their fading trails, and dotted lines down to `falls_to`."""
    inside = [(series.position_of(s.at), s) for s in series.sessions]
    named = bool(series.marked("session"))
    if frame.narrow:
        y = frame.name(pen, "Sessions", y=top, under="mg" if named else "") + 14
    else:
        y = frame.name(pen, "Sessions", y=top + 12) + 8
        if named:
            pen.text("mg", x=0, y=top + 9)
    for (position, _), (until, _) in pairwise([*inside, (float(frame.days), None)]):
        _trail(pen, frame, position=position, until=until, y=y, wash=wash)
    free_from = -1e9
    for position, session in inside:
        if position < 0:
            continue
        x, arm = frame.middle(position), 5.0 if frame.pitch >= 3 else 3.5
        pen.mark("path", "c-ses", d=path("M", x, y + 10, "V", falls_to))
        pen.diamond(x=x, y=y, arm=arm, cls="c-dia")
        dose = "" if session.dose_mg is None else words.dose(session.dose_mg)
        if dose and x - 3.5 * len(dose) >= free_from:
            pen.text(dose, x=x, y=y - 9, cls="dose mid")
            free_from = x + 3.5 * len(dose)
    if not inside:
        pen.text("none so far", x=frame.x0, y=y + 4)
    elif not named:
        before = series.trend.days[0].on + timedelta(days=round(inside[-1][0]))
        pen.text(f"the last on {words.short(before)}", x=frame.x0, y=y - 7, cls="dose")
    return y + 12


def _trail(pen: Drawing, frame: Frame, *, position: float, until: float, y: float, wash: str) -> None:
    """The part of a trail that lies in the range. The inner picture cuts it, so that every trail fades alike."""
    begins, whole = frame.middle(position), TRAIL_DAYS * frame.pitch
    left = max(begins, frame.x0)
    right = min(begins + whole, frame.middle(until) if until < frame.days else frame.x1, frame.x1)
    if right - left >= 0.5:
        with pen.inside("svg", x=left, y=y - 2, width=right - left, height=4.0):
            pen.mark("rect", x=begins - left, y=0.0, width=whole, height=4.0, fill=f"url(#{wash})")


def mood(pen: Drawing, frame: Frame, series: Series, *, top: float, height: float, hatch: str) -> float:
    """Each answer, the thin line of days, the thick 7-day mean, silence hatched, own normal where it is known."""
    trend, low = series.trend, top + height

    def y(value: float) -> float:
        return low - value / 10 * height

    if trend.baseline is not None:
        band = y(trend.baseline.high)
        pen.mark("rect", "c-norm", x=frame.x0, y=band, width=frame.x1 - frame.x0, height=y(trend.baseline.low) - band)
        pen.text("own normal", x=frame.x1 - 6, y=band + 14, cls="endt")
    for value in (0, 5, 10):
        pen.line(x1=frame.x0, x2=frame.x1, y=y(value), cls="c-grid")
        pen.text(str(value), x=frame.x0 - (4 if frame.narrow else 8), y=y(value) + 4, cls="endt")
    for silence in series.silences:
        left = frame.middle(silence.first - 0.5)
        wide = silence.length * frame.pitch
        pen.mark("rect", "c-sil", x=left, y=top, width=wide, height=height, fill=f"url(#{hatch})")
        if silence.length >= 4 and wide >= 34:
            pen.text("silent", x=left + wide / 2, y=low - 24, cls="mid halo")
            pen.text(words.counted(silence.length, "day"), x=left + wide / 2, y=low - 10, cls="mid halo")
    answered = [(frame.middle(at), y(day.mood.mean)) if day.mood else None for at, day in enumerate(trend.days)]
    with pen.inside("g", "layer-answers"):
        pen.strokes(answered, cls="c-raw")
        if frame.pitch >= 2:
            _answers(pen, frame, series, low=low, height=height)
    smooth = [None if value is None else (frame.middle(at), y(value)) for at, value in enumerate(drawn_means(series))]
    pen.strokes(smooth, cls="c-mean")
    ends = next(
        ((at, value) for at, value in reversed(list(enumerate(drawn_means(series)))) if value is not None), None
    )
    if ends is not None:
        x, at_y = frame.middle(ends[0]), y(ends[1])
        pen.mark("circle", "c-endd", cx=x, cy=at_y, r=4.5)
        pen.text(words.one_decimal(ends[1]), x=x + 9, y=at_y + 4, cls="end halo")
    return low


def _answers(pen: Drawing, frame: Frame, series: Series, *, low: float, height: float) -> None:
    radius = 2.0 if frame.pitch >= 5 else 1.5
    for position, answers in enumerate(series.answers):
        x = frame.middle(position)
        for answer in answers:
            y = low - answer.mood / 10 * height
            if answer.near_session:
                pen.diamond(x=x, y=y, arm=radius + 1, cls="c-dot")
            else:
                pen.mark("circle", "c-dot", cx=x, cy=y, r=radius)


def annotations(pen: Drawing, frame: Frame, series: Series, *, low: float) -> None:
    """Below the mood lane a small arrow where the care team noted something, with a line along the days it is about."""
    for marker in series.marked("annotation"):
        first = series.position_of(marker.at)
        if marker.ended_at is not None:
            last = min(series.position_of(marker.ended_at), float(frame.days)) - 0.5
            left = frame.middle(max(first, 0.0) - 0.5)
            if first < 0 or last > first + 0.5:
                pen.mark("path", "c-span", d=path("M", left, low + 7, "H", frame.middle(last)))
        if first >= 0:
            pen.mark("path", "c-note", d=path("M", frame.middle(first), low + 3, "l", 3.5, 6.0, -7.0, 0.0, "z"))


def drawn_means(series: Series) -> list[float | None]:
    """The 7-day means that the thick line shows: none on the days of a silence."""
    silent = {position for s in series.silences for position in range(s.first, s.last + 1)}
    return [None if at in silent else day.mean_7d for at, day in enumerate(series.trend.days)]


def scores(pen: Drawing, frame: Frame, series: Series, *, top: float) -> float:
    """PHQ-9 as steps with a dot for each answer. Nothing at all where there is no score."""
    told = [(series.position_of(s.at), s.total) for s in series.trend.scores if s.instrument == "phq-9"]
    if not told:
        return top
    start = frame.name(pen, "PHQ-9", y=top)
    low = start + (70 if frame.narrow else 84)

    def y(value: float) -> float:
        return low - value / 27 * (low - start)

    for value in (0, 27):
        pen.line(x1=frame.x0, x2=frame.x1, y=y(value), cls="c-grid")
        pen.text(str(value), x=frame.x0 - (4 if frame.narrow else 8), y=y(value) + 4, cls="endt")
    pen.line(x1=frame.x0, x2=frame.x1, y=y(4.5), cls="c-rule")
    if not frame.narrow:
        pen.text("remission", x=frame.x1 + 8, y=y(4.5) + 4)
    first, *rest = told
    steps = path("M", frame.middle(first[0]), y(first[1]))
    steps += "".join(path("H", frame.middle(at), "V", y(total)) for at, total in rest)
    pen.mark("path", "c-phq", d=steps + path("H", frame.middle(frame.days - 1)))
    for at, total in told:
        pen.mark("circle", "c-phd", cx=frame.middle(at), cy=y(total), r=3.0)
    pen.text(str(told[-1][1]), x=frame.x1 + 8, y=y(told[-1][1]) + 4, cls="endp halo")
    return low + 20


def sleep(pen: Drawing, frame: Frame, series: Series, *, top: float) -> float:
    """Hours asleep as bars from zero, with a line at eight."""
    nights = [(at, day.sleep.minutes) for at, day in enumerate(series.trend.days) if day.sleep and day.sleep.minutes]
    lately = [minutes for at, minutes in nights if at >= frame.days - 7]
    note = f"{words.hours(fmean(lately))} a night" if lately else ""
    start = frame.name(pen, "Sleep", y=top, under="hours", note=note)
    base, tallest = start + 34, max([600, *(minutes for _, minutes in nights)])
    eight = base - 480 / tallest * 34
    pen.text("8", x=frame.x0 - (4 if frame.narrow else 8), y=eight + 4, cls="endt")
    pen.line(x1=frame.x0, x2=frame.x1, y=eight, cls="c-grid")
    bars = [(frame.middle(at), minutes / tallest * 34) for at, minutes in nights]
    pen.bars(bars, base=base, width=_bar(frame), cls="c-sleep")
    pen.line(x1=frame.x0, x2=frame.x1, y=base + 0.5, cls="c-base")
    return base


def exercise(pen: Drawing, frame: Frame, series: Series, *, top: float) -> float:
    """Minutes moved as bars from zero; an hour fills the lane, more than that fills it too."""
    moved = [(at, day.exercise.minutes) for at, day in enumerate(series.trend.days) if day.exercise]
    lately = [minutes for at, minutes in moved if at >= frame.days - 7]
    note = f"{sum(lately)} min a week" if lately else ""
    start = frame.name(pen, "Exercise", y=top, under="minutes", note=note)
    base = start + 26
    bars = [(frame.middle(at), min(minutes, 60) / 60 * 26) for at, minutes in moved]
    pen.bars(bars, base=base, width=_bar(frame), cls="c-move")
    pen.line(x1=frame.x0, x2=frame.x1, y=base + 0.5, cls="c-base")
    return base


def _bar(frame: Frame) -> float:
    return max(frame.pitch * 0.68, 0.6) if frame.pitch < 12 else frame.pitch * 0.5


def substances(pen: Drawing, frame: Frame, series: Series, *, top: float) -> float:
    """A lane for each substance spoken of: a ring for use, a small square for a day without, nothing for silence."""
    y = top
    for code in spoken_of(series):
        used = [at for at, day in enumerate(series.trend.days) if code in day.substances]
        without = [at for at, day in enumerate(series.trend.days) if code in day.abstained]
        free = sum(1 for at in without if at > max(used, default=-1))
        note = f"{words.counted(free, 'day')} without" if free else ""
        start = frame.name(pen, words.substance(code), y=y, note=note)
        middle = start + (6 if frame.narrow else 8)
        side = min(3.0, max(frame.pitch * 0.5, 0.8))
        pen.bars([(frame.middle(at), side) for at in without], base=middle + side / 2, width=side, cls="c-free")
        for at in used:
            pen.mark("circle", "c-lapse", cx=frame.middle(at), cy=middle, r=4.0 if frame.pitch >= 4 else 3.0)
        y = middle + (14 if frame.narrow else 16)
    return y


def spoken_of(series: Series) -> list[str]:
    """The substances that any day of the range tells of, used ones first, then by name; at most four."""
    used = {code for day in series.trend.days for code in day.substances}
    without = {code for day in series.trend.days for code in day.abstained}
    return [*sorted(used), *sorted(without - used)][:4]
