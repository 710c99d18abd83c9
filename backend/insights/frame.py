"""Where time runs on a drawing: the place of each day, the names of lanes, the line of dates. Pure."""

from collections.abc import Sequence
from datetime import date

from msgspec import Struct

from backend.insights import words
from backend.insights.series import Series
from backend.insights.svg import Drawing, path

_HEAD = 22  # a narrow lane's line of words


class Frame(Struct, frozen=True):
    """Where time runs on the drawing: `days` days from `x0` to `x1`."""

    width: float
    x0: float
    x1: float
    days: int
    narrow: bool

    @property
    def pitch(self) -> float:
        """The width of a day."""
        return (self.x1 - self.x0) / self.days

    def middle(self, position: float) -> float:
        """The x of the middle of the day at a position; fractions and days outside the range are meant too."""
        return self.x0 + (position + 0.5) * self.pitch

    def name(self, pen: Drawing, name: str, *, y: float, under: str = "", note: str = "") -> float:
        """Writes the lane's name, the unit and what the lane comes to. Returns the y where its marks may begin."""
        if self.narrow:
            pen.text(f"{name}, {under}" if under else name, x=0, y=y + 13, cls="lab")
            if note:
                pen.text(note, x=self.width, y=y + 13, cls="endt")
            return y + _HEAD
        pen.text(name, x=0, y=y + 12, cls="lab")
        if under:
            pen.text(under, x=0, y=y + 26)
        if note:
            pen.text(note, x=self.x1 + 8, y=y + 16)
        return y


def axis(pen: Drawing, frame: Frame, series: Series, *, top: float) -> float:
    """The line of time, with dates far enough apart to be read; the last day always has one."""
    pen.line(x1=frame.x0, x2=frame.x1, y=top, cls="c-base")
    days = [day.on for day in series.trend.days]
    for position, label in ticks(days, pitch=frame.pitch, apart=46 if frame.narrow else 60):
        x = frame.middle(position)
        pen.mark("path", "c-base", d=path("M", x, top, "v", 5))
        pen.text(label, x=min(x, frame.width - 16), y=top + 18, cls="mid")
    return top + 22


def ticks(days: Sequence[date], *, pitch: float, apart: float) -> list[tuple[int, str]]:
    """(position, label) of the dates on the axis, at least `apart` units from each other.

    Weeks counted back from the last day, or months where weeks do not fit.
    """
    step = next((n for n in (1, 2, 7, 14, 28) if n * pitch >= apart), None)
    last = len(days) - 1
    if step is not None:
        return [(position, words.short(days[position])) for position in range(last % step, last + 1, step)]
    months = next((n for n in (1, 2, 3, 4, 6, 12, 24, 60) if n * 30 * pitch >= apart), 120)
    kept = [at for at, day in enumerate(days) if day.day == 1 and (day.year * 12 + day.month - 1) % months == 0]
    return [(at, str(days[at].year) if days[at].month == 1 else words.month(days[at])) for at in kept]
