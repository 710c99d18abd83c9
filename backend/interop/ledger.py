"""The ledger of erasures: a file outside the database, to which lines are added and from which none is taken.

A restored backup brings erased people back; this file says whom to erase again. It holds ids and instants and nothing
else, one JSON object a line: `{"request", "patient", "at"}`.
"""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson


class Unreadable(Exception):
    """A line of the ledger is not what was written; nobody is let in before a person has looked at it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One erasure: by which request, of whom, when."""

    request: uuid.UUID
    patient: uuid.UUID
    at: datetime


def add(path: Path, entry: Entry) -> None:
    """Adds a line and waits until it is on the disk; before the erasure commits, so that none is missing."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    line = orjson.dumps({"request": entry.request, "patient": entry.patient, "at": entry.at}) + b"\n"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":  # a line that a power cut broke off stays alone
            line = b"\n" + line
        os.write(file, line)
        os.fsync(file)
    finally:
        os.close(file)


def read(path: Path) -> Iterator[Entry]:
    """Every entry, oldest first; an absent file has none. A line that a power cut broke off counts for nothing.

    Raises Unreadable for any other line that is none of ours.
    """
    if not path.exists():
        return
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values = orjson.loads(line)
            yield Entry(
                uuid.UUID(values["request"]), uuid.UUID(values["patient"]), datetime.fromisoformat(values["at"])
            )
        except (ValueError, KeyError, TypeError) as error:
            if _was_broken_off(line):
                continue
            raise Unreadable(f"Line {number} of the ledger of erasures is damaged.") from error


def _was_broken_off(line: bytes) -> bool:
    """Whether the line is the beginning of one of ours; its erasure had not committed, and was done later again."""
    return line.startswith(b"{") and not line.endswith(b"}")
