"""The formats of an export, as a registry: sections of rows come in, and one file goes out, row by row.

A format that joins later (PDF, FHIR) is one more line at the end and shares the job, the link and the encryption.
"""

import csv
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from itertools import chain
from typing import IO, Any, Protocol, cast

import orjson

_PLAIN = orjson.OPT_NON_STR_KEYS
# A spreadsheet runs a cell that begins so; an apostrophe before it makes it a text (CWE-1236).
_RUNS = ("=", "+", "-", "@", "\t", "\r")


class Sink(Protocol):
    """Where bytes go, in order, without a way back."""

    def write(self, data: bytes) -> int:
        """Takes some bytes."""
        ...

    def flush(self) -> None:
        """Nothing is held back."""
        ...


@dataclass(frozen=True)
class Section:
    """One kind of rows, read while they are written."""

    name: str
    columns: Sequence[str]
    rows: Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Format:
    """How sections become a file."""

    code: str
    suffix: str
    media_type: str
    write: Callable[[Sink, Mapping[str, Any], Iterator[Section]], None]


def write_json(out: Sink, head: Mapping[str, Any], sections: Iterator[Section]) -> None:
    """One JSON object: `about`, and each section as a list of objects. Instants carry their offset."""
    out.write(b'{"about":' + _json(head))
    for section in sections:
        out.write(b",\n" + orjson.dumps(section.name) + b":[")
        for number, row in enumerate(section.rows):
            out.write((b",\n" if number else b"\n") + _json(row))
        out.write(b"]")
    out.write(b"}\n")


def write_csv(out: Sink, head: Mapping[str, Any], sections: Iterator[Section]) -> None:
    """A ZIP with one CSV table (RFC 4180, UTF-8) for each section that has rows, and `about.json`."""
    with zipfile.ZipFile(cast(IO[bytes], _Forward(out)), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("about.json", _json(head))
        for section in sections:
            rows = iter(section.rows)
            first = next(rows, None)
            if first is None:
                continue
            with (
                archive.open(f"{section.name}.csv", "w", force_zip64=True) as raw,
                io.TextIOWrapper(raw, "utf-8", newline="") as text,
            ):
                table = csv.writer(text)
                table.writerow(section.columns)
                for row in chain([first], rows):
                    table.writerow([_cell(row[name]) for name in section.columns])


class _Forward:
    """A sink as zipfile wants it: it cannot be sought in, so sizes follow the content."""

    def __init__(self, out: Sink) -> None:
        self.write, self.flush = out.write, out.flush

    def seekable(self) -> bool:
        return False


def _json(value: Any) -> bytes:
    return orjson.dumps(value, default=str, option=_PLAIN)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime | time):
        return value.isoformat()
    if isinstance(value, list | dict):
        return _json(value).decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_RUNS) else text


FORMATS: Mapping[str, Format] = {
    each.code: each
    for each in (
        Format("json", ".json", "application/json", write_json),
        Format("csv", ".zip", "application/zip", write_csv),
    )
}
