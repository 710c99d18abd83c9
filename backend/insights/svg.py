"""Writes SVG: escaped text, finite numbers, classes instead of styles. Pure.

A page paints the classes with its style sheet. For a picture that stands alone (a file, a mail, a PDF) `paint` maps a
class to presentation attributes, which no Content-Security-Policy forbids.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from xml.sax.saxutils import escape, quoteattr

Paint = Mapping[str, Mapping[str, str]]
Point = tuple[float, float]


def number(value: float) -> str:
    """A coordinate with at most one decimal. Raises ValueError for what is no number."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is no coordinate")
    rounded = round(value, 1)
    return str(int(rounded)) if rounded == int(rounded) else str(rounded)


def path(*parts: str | float) -> str:
    """Path data from commands and coordinates: path("M", 1, 2, "V", 9) is "M1 2V9"."""
    written = ""
    for part in parts:
        text = part if isinstance(part, str) else number(part)
        written += f" {text}" if written and written[-1].isdigit() and text[0].isdigit() else text
    return written


class Drawing:
    """One SVG picture, written from back to front."""

    def __init__(self, *, width: float, paint: Paint | None = None) -> None:
        self.width = width
        self._paint = paint or {}
        self._parts: list[str] = []

    def _open(self, tag: str, cls: str | None, attributes: Mapping[str, str | float | None]) -> str:
        words = [tag]
        if cls:
            words.append(f"class={quoteattr(cls)}")
            for name in cls.split():
                words += [f"{key}={quoteattr(value)}" for key, value in self._paint.get(name, {}).items()]
        for key, value in attributes.items():
            if value is not None:
                text = value if isinstance(value, str) else number(value)
                words.append(f"{key.rstrip('_').replace('_', '-')}={quoteattr(text)}")
        return " ".join(words)

    def mark(self, tag: str, cls: str | None = None, **attributes: str | float | None) -> None:
        """An element without content. Underscores in names become hyphens; None leaves an attribute out."""
        self._parts.append(f"<{self._open(tag, cls, attributes)}/>")

    def text(self, words: str, *, x: float, y: float, cls: str | None = None) -> None:
        """A line of text with its baseline at y."""
        self._parts.append(f"<{self._open('text', cls, {'x': x, 'y': y})}>{escape(words)}</text>")

    def words(self, tag: str, words: str, *, ident: str) -> None:
        """A title or description, to be named by its id."""
        self._parts.append(f"<{tag} id={quoteattr(ident)}>{escape(words)}</{tag}>")

    @contextmanager
    def inside(self, tag: str, cls: str | None = None, **attributes: str | float | None) -> Iterator[None]:
        """Everything drawn in the block becomes content of this element."""
        self._parts.append(f"<{self._open(tag, cls, attributes)}>")
        yield
        self._parts.append(f"</{tag}>")

    def diamond(self, *, x: float, y: float, arm: float, cls: str) -> None:
        """A square on its corner."""
        self.mark("path", cls, d=path("M", x, y - arm, "l", arm, arm, -arm, arm, -arm, -arm, "z"))

    def line(self, *, x1: float, x2: float, y: float, cls: str) -> None:
        """A level line."""
        self.mark("path", cls, d=path("M", x1, y, "H", x2))

    def strokes(self, points: Sequence[Point | None], *, cls: str) -> None:
        """A line through the points, one path for each unbroken stretch: None breaks it. A lone point is a dot."""
        stretch: list[Point] = []
        for point in [*points, None]:
            if point is not None:
                stretch.append(point)
            elif stretch:
                first, *rest = (f"{number(x)} {number(y)}" for x, y in stretch)
                self.mark("path", cls, d=f"M{first}" + ("L" + " ".join(rest) if rest else "h0"))
                stretch = []

    def bars(self, bars: Sequence[Point], *, base: float, width: float, cls: str) -> None:
        """Upright bars as one path: each (x of the middle, height), standing on `base`. Nothing for no bars."""
        if bars:
            half, full = number(width / 2), number(width)
            shape = "".join(
                f"M{number(x - float(half))} {number(base)}v{number(-height)}h{full}v{number(height)}z"
                for x, height in bars
            )
            self.mark("path", cls, d=shape)

    def finish(
        self, *, height: float, cls: str, labelled_by: str | None = None, sized: bool = False, **data: str | float
    ) -> str:
        """The whole picture as text. Without `labelled_by` it is decoration and hidden from readers.

        `sized` writes width and height in pixels, which a picture needs when no style sheet sizes it.
        """
        head = self._open(
            "svg",
            cls,
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {number(self.width)} {number(height)}",
                "role": "img" if labelled_by else None,
                "aria-labelledby": labelled_by,
                "aria-hidden": None if labelled_by else "true",
                "width": self.width if sized else None,
                "height": height if sized else None,
                **data,
            },
        )
        return f"<{head}>{''.join(self._parts)}</svg>"
