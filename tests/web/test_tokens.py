"""The tokens keep their contrast: 4.5 for text, 3 for marks that carry meaning (WCAG 2.2), in both themes."""

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[2] / "backend/web/static/web"
SHEETS = sorted(path.name for path in STATIC.glob("*.css") if path.name != "tokens.css")
_BLOCK = re.compile(r"(:root[^{]*)\{([^}]*)\}")
_TOKEN = re.compile(r"--([a-z0-9-]+):\s*(#[0-9a-f]{6})\b")


def themes() -> dict[str, list[dict[str, str]]]:
    """The colours of each theme; dark stands twice, for the system's wish and for the reader's."""
    found: dict[str, list[dict[str, str]]] = {"light": [], "dark": []}
    for selector, body in _BLOCK.findall((STATIC / "tokens.css").read_text()):
        name = "dark" if "color-scheme: dark" in body else "light"
        found[name].append(dict(_TOKEN.findall(body)))
        assert (name == "light") == (selector.strip() == ":root")
    return found


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


TEXT = [
    *((ink, ground) for ink in ("ink", "ink-2", "ink-3") for ground in ("canvas", "surface", "hover", "sunken")),
    *(("ink-2", ground) for ground in ("act-tint", "watch-tint", "dusk-tint")),
    *(("dusk", ground) for ground in ("canvas", "surface", "hover", "dusk-tint")),
    *((tone, ground) for tone in ("act", "watch", "calm", "ember") for ground in ("canvas", "surface", "hover")),
    ("act", "act-tint"),
    ("watch", "watch-tint"),
    ("on-dusk", "dusk"),
    ("on-dusk", "dusk-strong"),
    ("ink", "raised"),
]
MARKS = [
    ("edge", "canvas"),
    *((mark, "surface") for mark in ("edge", "mood", "mood-raw", "phq", "sleep", "move", "ember")),
]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_and_marks_can_be_seen(theme: str) -> None:
    for colours in themes()[theme]:
        faint = {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in TEXT}
        assert {pair: ratio for pair, ratio in faint.items() if ratio < 4.5} == {}
        weak = {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in MARKS}
        assert {pair: ratio for pair, ratio in weak.items() if ratio < 3} == {}


def test_dark_is_the_same_whoever_asks_for_it() -> None:
    one, other = themes()["dark"]
    assert one == other
    (light,) = themes()["light"]
    assert set(one) == set(light)


def test_only_the_tokens_name_colours() -> None:
    for name in SHEETS:
        assert re.findall(r"#[0-9a-f]{6}\b|rgb\(", (STATIC / name).read_text()) == []


def test_every_token_that_is_used_exists() -> None:
    defined = set(re.findall(r"--([a-z0-9-]+):", (STATIC / "tokens.css").read_text()))
    for name in SHEETS:
        assert set(re.findall(r"var\(--([a-z0-9-]+)\)", (STATIC / name).read_text())) <= defined
