"""The few words that made-up patients write beside their scores. Invented, plain, nothing from real people."""

import random

TAGS = {
    "low": ("alone", "pain", "bad night", "work", "worry", "rain"),
    "middle": ("work", "family", "rain", "tired", "cooking", "walk"),
    "high": ("friends", "walk", "music", "family", "sun", "slept well"),
}
NOTES = {
    "low": (
        "Could not get out of bed until noon.",
        "Heavy day. Nothing in particular happened.",
        "Did not sleep, everything is loud.",
        "Cancelled dinner again.",
    ),
    "middle": (
        "Ordinary day. Work was fine.",
        "Tired, but I cooked.",
        "A bit better after the walk.",
        "Long call with my mother.",
    ),
    "high": (
        "Laughed at lunch. Had forgotten what that is like.",
        "Slept through and woke before the alarm.",
        "Went to the sea with the children.",
        "Played the guitar for an hour.",
    ),
}


def shade(mood: int) -> str:
    """Which set of words suits a mood of 0 to 10."""
    return "low" if mood <= 3 else "middle" if mood <= 6 else "high"


def tags_for(rng: random.Random, mood: int) -> tuple[str, ...]:
    """Up to two tags, none on most days."""
    return tuple(rng.sample(TAGS[shade(mood)], rng.choice((0, 0, 0, 1, 1, 2))))


def note_for(rng: random.Random, mood: int) -> str:
    """A sentence on about one day in eight."""
    return rng.choice(NOTES[shade(mood)]) if rng.random() < 0.12 else ""
