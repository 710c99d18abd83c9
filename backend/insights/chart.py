"""The trend as one SVG picture, drawn on the server: series in, text out. Pure.

The same picture serves the page, `trend.svg` and whatever prints it. It holds no style attribute and no script. Every
number in it stands in the page's table as well; the read-out under the pointer takes its words from there. The groups
`layer-…` can be hidden by the page's style sheet.
"""

from collections.abc import Sequence

from backend.insights import lanes, words
from backend.insights.frame import Frame, axis
from backend.insights.series import Series
from backend.insights.svg import Drawing, Paint

_WIDE = (824.0, 76.0, 726.0)
_NARROW = (326.0, 20.0, 296.0)


def draw(series: Series, *, ident: str, narrow: bool = False, paint: Paint | None = None) -> str:
    """The chart of a range of one day or more.

    `ident` makes the ids inside unique on the page. `narrow` is the drawing for phones. With `paint` the picture
    stands alone, coloured by attributes; without it the page's style sheet paints its classes.
    """
    width, x0, x1 = _NARROW if narrow else _WIDE
    frame = Frame(width=width, x0=x0, x1=x1, days=len(series.trend.days), narrow=narrow)
    pen = Drawing(width=width, paint=paint)
    title, description, wash, hatch = (f"{ident}-{part}" for part in ("title", "desc", "wash", "hatch"))
    pen.words("title", heading(series), ident=title)
    pen.words("desc", describe(series), ident=description)
    _patterns(pen, wash=wash, hatch=hatch)
    mood_top = 78.0 if narrow else 54.0
    mood_height = 150.0 if narrow else 186.0
    with pen.inside("g", "layer-sessions"):
        lanes.sessions(pen, frame, series, top=0, falls_to=mood_top + mood_height, wash=wash)
    if narrow:
        frame.name(pen, "Mood", y=mood_top - 26, under="0 low to 10 bright")
    else:
        pen.text("Mood", x=0, y=mood_top + 4, cls="lab")
        pen.text("bright", x=0, y=mood_top + 18)
        pen.text("low", x=0, y=mood_top + mood_height + 4)
    y = lanes.mood(pen, frame, series, top=mood_top, height=mood_height, hatch=hatch)
    lanes.annotations(pen, frame, series, low=y)
    gap = 10 if narrow else 22
    y = lanes.scores(pen, frame, series, top=y + gap)
    with pen.inside("g", "layer-lanes"):
        y = lanes.sleep(pen, frame, series, top=y)
        y = lanes.exercise(pen, frame, series, top=y + (8 if narrow else 14))
        y = lanes.substances(pen, frame, series, top=y + (8 if narrow else 14))
    if paint is None:
        pen.mark("path", "c-cross", d=f"M0 {mood_top - 8:.0f}V{y:.0f}", hidden="")
    y = axis(pen, frame, series, top=y + 4)
    return pen.finish(
        height=y + 2,
        cls="chart chart-narrow" if narrow else "chart chart-wide",
        labelled_by=f"{title} {description}",
        sized=paint is not None,
        data_x0=x0,
        data_x1=x1,
        data_days=float(frame.days),
    )


def _patterns(pen: Drawing, *, wash: str, hatch: str) -> None:
    with pen.inside("defs"):
        with pen.inside("linearGradient", id=wash):
            pen.mark("stop", "c-glow", offset="0")
            pen.mark("stop", "c-gone", offset="1")
        with pen.inside(
            "pattern", id=hatch, width="5", height="5", patternUnits="userSpaceOnUse", patternTransform="rotate(45)"
        ):
            pen.mark("path", "c-hatch", d="M0 0V5")


def heading(series: Series) -> str:
    """Twelve weeks of mood, sessions, sleep, exercise and alcohol"""
    scored = ["PHQ-9"] if any(score.instrument == "phq-9" for score in series.trend.scores) else []
    substances = [words.substance(code).lower() for code in lanes.spoken_of(series)]
    things = ["mood", "sessions", *scored, "sleep", "exercise", *substances]
    return f"{words.length(len(series.trend.days))} of {words.listed(things)}"


def describe(series: Series) -> str:
    """The picture in a few sentences, for those who hear it."""
    noted = len(series.marked("annotation"))
    notes = [f"The care team annotated {words.counted(noted, 'place', 'places')}."] if noted else []
    said = [*_mood(series), _sessions(series), *_silence(series), *notes]
    return " ".join([*said, "The table below has every number."])


def _mood(series: Series) -> Sequence[str]:
    told = [(day.on, day.mean_7d) for day in series.trend.days if day.mean_7d is not None]
    if not told:
        return ["There are too few check-ins for a 7-day mean."]
    values = [value for _, value in told]
    (first_on, first), (last_on, last) = told[0], told[-1]
    return [
        f"The 7-day mean of mood was {words.one_decimal(first)} on {words.short(first_on)} "
        f"and {words.one_decimal(last)} on {words.short(last_on)}; "
        f"between them it ran from {words.one_decimal(min(values))} to {words.one_decimal(max(values))}."
    ]


def _sessions(series: Series) -> str:
    held = series.marked("session")
    if not held:
        return "No session in this range."
    days = series.trend.days
    last = days[min(int(series.position_of(held[-1].at)), len(days) - 1)].on
    if len(held) == 1:
        return f"One session, on {words.short(last)}."
    return f"{words.spelled(len(held)).capitalize()} sessions, the last on {words.short(last)}."


def _silence(series: Series) -> Sequence[str]:
    if not series.silences:
        return []
    longest = max(series.silences, key=lambda silence: silence.length)
    days = series.trend.days
    many = f"{words.spelled(len(series.silences)).capitalize()} times nobody answered for two days or more"
    once = "Once there was no entry for two days or more"
    return [
        f"{once if len(series.silences) == 1 else many}; "
        f"the longest was {words.counted(longest.length, 'day')} from {words.short(days[longest.first].on)}."
    ]
