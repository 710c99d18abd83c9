"""The heads of the audit chains, told outside the database: a chain that was cut off or written anew cannot match them.

They go to the log and, with AUDIT_HEADS_FILE, to a file that belongs on other storage than the database's.
"""

import os
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import structlog
from django.conf import settings

from backend.accounts import chain
from backend.accounts.chain import Head

EVERY = timedelta(seconds=10)
log = structlog.get_logger(__name__)


class Sealer:
    """What beat's thread does each second: seals, and tells the heads that moved, at most every ten seconds."""

    def __init__(self) -> None:
        self._untold: dict[uuid.UUID, Head] = {}
        self._told_at: datetime | None = None

    def round(self, *, now: datetime) -> None:
        """Seals what waits. A head that could not be told is told in a later round."""
        self._untold.update((head.clinic_id, head) for head in chain.seal())
        if self._untold and (self._told_at is None or now - self._told_at >= EVERY):
            tell(self._untold.values(), now=now)
            self._untold.clear()
            self._told_at = now


def tell(heads: Iterable[Head], *, now: datetime) -> None:
    """Writes each head to the log and to the file, which is on the disk when this returns. Raises OSError."""
    lines = []
    for head in heads:
        said = {"clinic": str(head.clinic_id), "number": head.number, "hash": head.hash.hex()}
        log.info("audit chain", **said)
        lines.append(orjson.dumps({"at": now, **said}, option=orjson.OPT_APPEND_NEWLINE))
    if settings.AUDIT_HEADS_FILE and lines:
        with Path(settings.AUDIT_HEADS_FILE).open("ab") as file:
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())


def told() -> dict[uuid.UUID, dict[int, str]]:
    """Every head in the file: for each clinic the hash in hex by number; nothing without a file.

    Raises ValueError for a line that is none of ours: somebody wrote in the file.
    """
    path = Path(settings.AUDIT_HEADS_FILE) if settings.AUDIT_HEADS_FILE else None
    found: dict[uuid.UUID, dict[int, str]] = {}
    for line in path.read_bytes().splitlines() if path and path.is_file() else ():
        try:
            head = orjson.loads(line)
            found.setdefault(uuid.UUID(head["clinic"]), {})[int(head["number"])] = str(head["hash"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            raise ValueError(f"{path} holds a line that is no head of a chain") from None
    return found
