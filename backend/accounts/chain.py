"""The hash chain over the audit trail: sealed each second, one chain for each clinic, checked from its first link.

An event is written unchained, so that no row is locked while a request runs; the sealing job then links what has been
committed, in the order in which it sees it. What is computed here is computed in Python alone: functions of a database
that someone altered could not vouch for it.
"""

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection

from backend.accounts import access
from backend.accounts.models import NOWHERE
from backend.common import locks

PURPOSE = "audit"
# An event that waits longer than this for its link is a fault: the job does not run, or something took it out.
UNSEALED = timedelta(seconds=10)
GENESIS = bytes(32)
_BATCH = 2_000
_COLUMNS = (
    "id", "done_at", "clinic_id", "person_id", "roles", "action", "object_type", "object_ids", "patients", "reason",
    "purpose", "device_id", "request_id", "address", "digest",
)  # fmt: skip
_EVENT = ", ".join(f"e.{name}" for name in _COLUMNS)


@dataclass(frozen=True, slots=True)
class Head:
    """The last link of a chain."""

    clinic_id: uuid.UUID
    number: int
    hash: bytes


@dataclass(slots=True)
class Report:
    """What checking one chain found: the first fault, and how many events wait too long for their link."""

    clinic_id: uuid.UUID
    events: int = 0
    faults: list[str] = field(default_factory=list)
    unsealed: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults and not self.unsealed


def digest_of(event: Sequence[Any]) -> bytes:
    """SHA-256 of an event: its columns, in the order of the table, as one JSON array."""
    values = [value.hex() if isinstance(value, bytes | memoryview) else value for value in event]
    return hashlib.sha256(orjson.dumps([1, *values], default=str)).digest()


def hash_of(*, previous: bytes, number: int, event_id: uuid.UUID, digest: bytes) -> bytes:
    """SHA-256 over the hash before it, the number (8 bytes, big-endian), the event's id (16 bytes) and its digest."""
    return hashlib.sha256(previous + number.to_bytes(8, "big") + event_id.bytes + digest).digest()


def seal() -> list[Head]:
    """Links all events that are committed and wait, each clinic's in a transaction of its own; the new heads.

    A chain that another process is sealing at this moment is left to it.
    """
    with access.acting_as(None, None, PURPOSE), connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT clinic_id FROM accounts_auditpending")
        waiting = [row[0] for row in cursor.fetchall()]
    heads = []
    for clinic_id in sorted(waiting):
        while True:
            with access.acting_as(None, _entered(clinic_id), PURPOSE):
                head, sealed = _seal(clinic_id)
            if head is not None:
                heads.append(head)
            if sealed < _BATCH:
                break
    return heads


def _seal(clinic_id: uuid.UUID) -> tuple[Head | None, int]:
    if not locks.take_if_free(f"audit chain {clinic_id}"):
        return None, 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT number, hash FROM accounts_auditlink WHERE clinic_id = %s ORDER BY number DESC LIMIT 1",
            [clinic_id],
        )
        number, previous = cursor.fetchone() or (0, GENESIS)
        cursor.execute(
            f"SELECT {_EVENT} FROM accounts_auditpending p JOIN accounts_auditevent e ON e.id = p.event_id "  # noqa: S608
            f"WHERE p.clinic_id = %s ORDER BY p.event_id LIMIT {_BATCH}",
            [clinic_id],
        )
        events = cursor.fetchall()
        if not events:
            return None, 0
        links = []
        for event in events:
            number += 1
            digest = digest_of(event)
            previous = hash_of(previous=bytes(previous), number=number, event_id=event[0], digest=digest)
            links.append((event[0], number, digest, previous))
        ids, numbers, digests, hashes = (list(column) for column in zip(*links, strict=True))
        cursor.execute(
            "INSERT INTO accounts_auditlink (event_id, clinic_id, number, digest, hash) "
            "SELECT u.id, %s, u.number, u.digest, u.hash "
            "FROM unnest(%s::uuid[], %s::bigint[], %s::bytea[], %s::bytea[]) AS u(id, number, digest, hash)",
            [clinic_id, ids, numbers, digests, hashes],
        )
        cursor.execute("DELETE FROM accounts_auditpending WHERE event_id = ANY(%s::uuid[])", [ids])
    return Head(clinic_id, number, previous), len(events)


def waiting_longest() -> uuid.UUID | None:
    """An event that waits for its link, the first of them; where it is the same for long, nobody seals."""
    with access.acting_as(None, None, PURPOSE), connection.cursor() as cursor:
        cursor.execute("SELECT event_id FROM accounts_auditpending ORDER BY event_id LIMIT 1")
        row = cursor.fetchone()
        return row[0] if row else None


def chains() -> list[uuid.UUID]:
    """The clinics that have a chain, `NOWHERE` among them; those that are gone too."""
    # One step of the index for each chain, however long they are.
    with access.acting_as(None, None, PURPOSE), connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE c AS ((SELECT clinic_id FROM accounts_auditlink ORDER BY clinic_id LIMIT 1) UNION ALL "
            "SELECT (SELECT l.clinic_id FROM accounts_auditlink l WHERE l.clinic_id > c.clinic_id "
            "ORDER BY l.clinic_id LIMIT 1) FROM c WHERE c.clinic_id IS NOT NULL) "
            "SELECT clinic_id FROM c WHERE clinic_id IS NOT NULL"
        )
        return sorted({NOWHERE, *(row[0] for row in cursor.fetchall())})


def check(clinic_id: uuid.UUID, *, now: datetime, exported: Mapping[int, str]) -> Report:
    """Checks a chain from its first link to its last, and that no event stands outside it.

    `exported` are heads that were told outside, hash in hex by number. The first fault ends the reading.
    """
    report = Report(clinic_id)
    with access.acting_as(None, _entered(clinic_id), PURPOSE, isolation="repeatable read"):
        with connection.cursor() as cursor:
            # Not those alone that wait: what was slipped in beside the functions waits for nothing.
            cursor.execute(
                "SELECT count(*) FROM accounts_auditevent e WHERE e.clinic_id = %s AND e.done_at < %s "
                "AND NOT EXISTS (SELECT FROM accounts_auditlink l WHERE l.event_id = e.id)",
                [clinic_id, now - UNSEALED],
            )
            report.unsealed = cursor.fetchone()[0]
        number, previous = 0, GENESIS
        for link in _links(clinic_id):
            number += 1
            if fault := _fault(link, number, previous, exported.get(number)):
                report.faults.append(f"link {number} (event {link[1]}): {fault}")
                return report
            previous = bytes(link[3])
            report.events += 1
    if missing := [told for told in exported if told > number]:
        report.faults.append(f"link {min(missing)} was told outside and is not there: the chain ends at {number}")
    return report


def _fault(link: Sequence[Any], number: int, previous: bytes, exported: str | None) -> str | None:
    digest, found, event = bytes(link[2]), bytes(link[3]), link[4:]
    if link[0] != number:
        return f"it carries the number {link[0]}; a link is missing"
    if event[0] is None:
        return "its event is not there"
    if digest_of(event) != digest:
        return "its event is not what was sealed"
    if hash_of(previous=previous, number=number, event_id=link[1], digest=digest) != found:
        return "its hash does not follow from the one before"
    if exported is not None and exported != found.hex():
        return "its hash is not the one that was told outside"
    return None


def _links(clinic_id: uuid.UUID) -> Iterator[Sequence[Any]]:
    """(number, event, digest, hash, then the event's own columns or nulls) in the chain's order, a page at a time."""
    after: list[Any] = [-(2**63), uuid.UUID(int=0)]
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT l.number, l.event_id, l.digest, l.hash, {_EVENT} FROM accounts_auditlink l "  # noqa: S608
                f"LEFT JOIN accounts_auditevent e ON e.id = l.event_id WHERE l.clinic_id = %s "
                f"AND (l.number, l.event_id) > (%s, %s) ORDER BY l.number, l.event_id LIMIT {_BATCH}",
                [clinic_id, *after],
            )
            page = cursor.fetchall()
        yield from page
        if len(page) < _BATCH:
            return
        after = [page[-1][0], page[-1][1]]


def _entered(clinic_id: uuid.UUID) -> uuid.UUID | None:
    """The clinic whose machine acts; what happened in none is sealed and checked by nobody's."""
    return None if clinic_id == NOWHERE else clinic_id
