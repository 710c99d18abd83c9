"""Whether the database may be served: one that was restored stays closed until the erasures were replayed on it.

People who were erased after the backup was taken would otherwise be back. The ledger of erasures lies outside the
database for that reason; the room that erases replays it.
"""

import contextlib
import time
import weakref
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import psycopg
import structlog
from django.conf import settings
from django.db import DatabaseError, connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from backend.common import problems
from backend.common.problems import Problem
from backend.config.backups import tables
from backend.config.backups.sealing import Refused
from backend.web import errors

PURPOSE = "maintenance: restore"
ALWAYS_ANSWERED = ("/healthz", "/readyz", "/metrics")
CLOSED = "restored, but the erasures were not replayed yet: manage.py replay_erasures"
WAIT_SECONDS = 2.0

log = structlog.get_logger(__name__)
# A connection stays with its database, so one answer holds for its life. Closed is asked again each time.
_found_open: "weakref.WeakSet[Any]" = weakref.WeakSet()


class Gate:
    """Middleware: no request is served from a restored database before the erasures were replayed."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The answer, or 503 with Retry-After."""
        if request.path in ALWAYS_ANSWERED or not is_closed():
            return self.get_response(request)
        if request.path.startswith("/api/"):
            detail = "The records are being restored; nothing was stored. Send the request again."
            headers = {"Retry-After": "30"}
            return problems.answer(Problem(status=503, code="restoring", detail=detail, headers=headers))
        page = errors.page(
            request, status=503, headline="The records are being restored", text="Try again in a few minutes."
        )
        page["Retry-After"] = "30"
        return page


def is_closed() -> bool:
    """Whether the application's database waits for the erasures. One that does not answer is left to its readers."""
    connection = connections["default"]
    try:
        connection.ensure_connection()
        if connection.connection in _found_open:
            return False
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM config_restore WHERE opened_at IS NULL)")
            closed = bool(cursor.fetchone()[0])
    except DatabaseError:
        return False
    if not closed:
        _found_open.add(connection.connection)
    return closed


def wait_until_open() -> None:
    """For worker and beat: return once nothing of an erased person could be sent, and leave no connection open."""
    while is_closed():
        log.warning("closed", why=CLOSED)
        connections["default"].close()
        time.sleep(WAIT_SECONDS)
    connections["default"].close()


def close(*, address: str, backup: str, now: datetime) -> None:
    """Mark the database at `address` (its owner's) as restored and not to be served yet."""
    with tables.connect(address, purpose=PURPOSE) as connection:
        connection.execute("INSERT INTO config_restore (backup, restored_at) VALUES (%s, %s)", [backup[:100], now])


def open_again(*, address: str, now: datetime) -> None:
    """Let the database be served; after the replay."""
    with tables.connect(address, purpose=PURPOSE) as connection:
        connection.execute("UPDATE config_restore SET opened_at = %s WHERE opened_at IS NULL", [now])


def ledger() -> set[str]:
    """The requests for erasure in the ledger. Raises Refused where it cannot be read."""
    from backend.interop import ledger as reader

    try:
        return {str(entry.request) for entry in reader.read(Path(settings.ERASURES_FILE))}
    except (OSError, reader.Unreadable) as error:
        raise Refused(f"the ledger of erasures {settings.ERASURES_FILE} cannot be read: {error}") from error


def check_ledger(*, address: str, at_least: int) -> None:
    """Raise Refused where the ledger lacks erasures that the backup or the running database knows of.

    Better no restore than one that brings erased people back.
    """
    there = ledger()
    known: set[str] = set()
    with contextlib.suppress(psycopg.Error), tables.connect(address, purpose=PURPOSE) as connection:
        rows = connection.execute("SELECT id::text FROM interop_erasurerequest WHERE status = 'erased'").fetchall()
        known = {name for (name,) in rows}  # a database that is lost or older knows nothing
    if len(there) < at_least or known - there:
        lacking = max(at_least - len(there), len(known - there))
        raise Refused(
            f"the ledger of erasures (ERASURES_LEDGER) lacks {lacking} of those that were done: bring it back first, "
            "or erased people would be back; nothing was changed"
        )


def replay(*, now: datetime) -> int:
    """Erase again, in the database to which Django points, everybody whom the ledger names; returns how many."""
    from backend.interop import erasure

    try:
        return erasure.replay(Path(settings.ERASURES_FILE), now=now).erased
    except Exception as error:
        raise Refused(f"the erasures could not be replayed, so the database stays closed: {error}") from error


def backed_up_at() -> datetime | None:
    """When the last good backup was made, as the database knows; None where there was none."""
    try:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT max(made_at) FROM config_backup")
            (at,) = cursor.fetchone()
    except DatabaseError:
        return None
    return cast("datetime | None", at)


def last_backup(*, now: datetime) -> dict[str, Any]:
    """When the last good backup was made and how many hours ago, for `/readyz`; both null where there was none."""
    at = backed_up_at()
    return {"made_at": at, "age_hours": round((now - at).total_seconds() / 3600, 1) if at else None}
