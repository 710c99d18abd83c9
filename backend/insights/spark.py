"""The two small pictures of a panel row: four weeks of mood, and the days since the last session. Pure.

Both are decoration for the eye; the row says the same in words.
"""

from collections.abc import Collection, Sequence

from backend.insights.series import silences
from backend.insights.svg import Drawing

SPARK_DAYS = 28
# DOMAIN.md: 'the window of highest risk is day 10 to 60 after the last one' (ours).
RISK_FROM_DAY, RISK_TO_DAY = 10, 60

_WIDTH, _HEIGHT, _LEFT, _RIGHT = 132.0, 36.0, 2.0, 124.0
# UI.md: a sparkline has a scale of its own, from 1.5 to 9, so that small changes show in 36 pixels.
_LOW, _HIGH, _TOP, _BOTTOM = 1.5, 9.0, 3.0, 29.0


def mood(
    *, means_7d: Sequence[float | None], answered: Sequence[bool], sessions: Collection[int], silent_now: bool
) -> str:
    """The 7-day means of the last days, oldest first, with dashes for silence and a tick for each session.

    `answered` says on which of the days there was a check-in, `sessions` names the positions of days with a session;
    `silent_now` as in `silences`.
    """
    pen = Drawing(width=_WIDTH)
    step = (_RIGHT - _LEFT) / (max(len(means_7d), 2) - 1)
    hushed = silences(answered, silent_now=silent_now)
    silent = {position for s in hushed for position in range(s.first, s.last + 1)}
    pen.line(x1=_LEFT, x2=_RIGHT, y=_y(5), cls="s-mid")
    for position in sorted(sessions):
        x = _LEFT + position * step
        pen.mark("rect", "s-tick", x=x - 0.8, y=_BOTTOM + 2, width=1.6, height=5.0)
    drawn = [None if at in silent or mean is None else mean for at, mean in enumerate(means_7d)]
    pen.strokes([None if m is None else (_LEFT + at * step, _y(m)) for at, m in enumerate(drawn)], cls="s-mean")
    level = next((m for m in drawn if m is not None), 5.0)
    for silence in hushed:
        level = next((m for m in reversed(drawn[: silence.first]) if m is not None), level)
        pen.line(x1=_LEFT + silence.first * step, x2=_LEFT + silence.last * step, y=_y(level), cls="s-gap")
    last = next(((at, m) for at, m in reversed(list(enumerate(drawn))) if m is not None), None)
    if last is not None:
        pen.mark("circle", "s-end", cx=_LEFT + last[0] * step, cy=_y(last[1]), r=3.25)
    return pen.finish(height=_HEIGHT, cls="spark")


def _y(value: float) -> float:
    held = min(max(value, _LOW), _HIGH)
    return _BOTTOM - (held - _LOW) / (_HIGH - _LOW) * (_BOTTOM - _TOP)


def since(days: int) -> str:
    """A track of 60 days, darker in the weeks of highest risk, with the day reached; it stays at the end afterwards."""
    pen = Drawing(width=96)
    left, right = 3.0, 92.0

    def x(day: int) -> float:
        return left + min(max(day, 0), RISK_TO_DAY) / RISK_TO_DAY * (right - left)

    pen.line(x1=left, x2=right, y=6, cls="s-track")
    pen.line(x1=x(RISK_FROM_DAY), x2=right, y=6, cls="s-risk")
    pen.mark("circle", "s-now", cx=x(days), cy=6.0, r=3.5)
    return pen.finish(height=12, cls="since")
