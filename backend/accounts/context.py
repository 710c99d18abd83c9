"""In whose name the database is asked: transactions that say who acts, in which clinic, and why."""

import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import orjson
from django.db import connections, transaction

from backend.accounts.models import Clinic
from backend.common import clock

Isolation = Literal["read committed", "repeatable read", "serializable"]


@contextmanager
def acting_as(
    person: uuid.UUID | None,
    clinic: uuid.UUID | None,
    purpose: str,
    device: uuid.UUID | None = None,
    request_id: str = "",
    isolation: Isolation | None = None,
    *,
    key: str = "",
    using: str = "default",
    roles: Collection[str] = (),
    address: str = "",
) -> Iterator[None]:
    """A transaction as the application's role, in which the database knows who acts, where and why.

    Row-level security, history and audit read this context; it ends with the transaction. Without a person, but with a
    clinic, it is the clinic's machine that acts, for all of its people; without both only the tables that name the
    purpose open, and the one row of which the asker knows the `key` (an address, an id). It does not nest: a task that
    commits in steps enters once for each. An exception rolls everything back.
    """
    with transaction.atomic(using=using, durable=True):
        _set_context(using, person, clinic, purpose, device, request_id, isolation, key, roles, address)
        yield


@contextmanager
def machine_of(clinic: uuid.UUID) -> Iterator[None]:
    """Within a transaction: what follows is done by the clinic itself and not by the person who is here.

    For what a clinic promised beforehand, as to someone who holds its invitation.
    """
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('afterglow.person'), current_setting('afterglow.clinic'), "
            "set_config('afterglow.person', '', true), set_config('afterglow.clinic', %s, true)",
            [str(clinic)],
        )
        person, before = cursor.fetchone()[:2]
    yield  # an exception ends the transaction, and the context with it
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT set_config('afterglow.person', %s, true), set_config('afterglow.clinic', %s, true)",
            [person, before],
        )


def known_now(person: uuid.UUID) -> None:
    """Within a sign-in: who asks has proved to be this person; the rest of the transaction is theirs."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT set_config('afterglow.person', %s, true)", [str(person)])


def clinics() -> Sequence[uuid.UUID]:
    """All clinics, for jobs that then enter each as its machine."""
    with acting_as(None, None, "every clinic"):
        return list(Clinic.objects.order_by("id").values_list("id", flat=True))


@contextmanager
def maintaining(purpose: str) -> Iterator[None]:
    """A transaction as the owner of the database, who sees all rows while this lasts: for what fills a whole database.

    The demo's load and the tests' set-up; never a request or a job. All that is done inside goes through this
    connection.
    """
    usual, owner = connections["default"], connections["owner"]
    connections["default"], owner.alias = owner, "default"
    try:
        with transaction.atomic(durable=True):
            _set_context("default", None, None, f"maintenance: {purpose}", None, "", None)
            yield
    finally:
        connections["default"], owner.alias = usual, "owner"


@contextmanager
def dispatching(purpose: str = "dispatch") -> Iterator[None]:
    """A transaction as the dispatcher's role, which sees the reminder tables of all clinics and nothing else."""
    with transaction.atomic(using="dispatch", durable=True):
        _set_context("dispatch", None, None, purpose, None, "", None)
        yield


def _set_context(
    alias: str,
    person: uuid.UUID | None,
    clinic: uuid.UUID | None,
    purpose: str,
    device: uuid.UUID | None,
    request_id: str,
    isolation: Isolation | None,
    key: str = "",
    roles: Collection[str] = (),
    address: str = "",
) -> None:
    who = {"person": person, "clinic": clinic, "purpose": purpose, "device": device, "request": request_id}
    with connections[alias].cursor() as cursor:
        if isolation is not None:
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
        # One query for all of it. By the two pghistory settings its triggers write who and why beside each old version.
        cursor.execute(
            "SELECT set_config('afterglow.person', %s, true), set_config('afterglow.clinic', %s, true), "
            "set_config('afterglow.purpose', %s, true), set_config('afterglow.device', %s, true), "
            "set_config('afterglow.request', %s, true), set_config('afterglow.key', %s, true), "
            "set_config('afterglow.at', %s, true), "
            "set_config('afterglow.roles', %s, true), set_config('afterglow.address', %s, true), "
            "set_config('pghistory.context_id', %s, true), set_config('pghistory.context_metadata', %s, true)",
            [
                str(person or ""),
                str(clinic or ""),
                purpose,
                str(device or ""),
                request_id,
                key,
                clock.now().isoformat(),
                ",".join(sorted(roles)),
                address,
                str(uuid.uuid4()),
                orjson.dumps({name: str(value) for name, value in who.items() if value}).decode(),
            ],
        )
