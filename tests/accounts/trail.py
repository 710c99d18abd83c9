"""What the tests look at of the audit trail, and how they meddle with it."""

import contextlib
import io
import uuid
from collections.abc import Iterator
from typing import Any

from django.core.management import CommandError, call_command
from django.db import connections

from backend.accounts import access, chain
from backend.accounts.models import AuditEvent


def events(**filters: Any) -> list[AuditEvent]:
    """The events that were told, oldest first."""
    with access.maintaining("look"):
        return list(AuditEvent.objects.filter(**filters).order_by("done_at", "id"))


def told(**filters: Any) -> list[tuple[str, str]]:
    """(action, object) of the events."""
    return [(event.action, event.object_type) for event in events(**filters)]


def send(client: Any, verb: str, path: str, body: Any = None, **headers: str) -> tuple[Any, list[AuditEvent]]:
    """The answer to a request, and the events that it left."""
    request_id = str(uuid.uuid4())
    answer = client.send(verb, path, body, X_Request_Id=request_id, **headers)
    return answer, events(request_id=request_id)


@contextlib.contextmanager
def meddling() -> Iterator[Any]:
    """A cursor of the database's owner with the triggers asleep that protect the trail, and all rows open."""
    with access.maintaining("meddling"), connections["owner"].cursor() as cursor:
        for table in ("accounts_auditevent", "accounts_auditlink"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield cursor
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("accounts_auditevent", "accounts_auditlink"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def verify(*arguments: str) -> tuple[int, str]:
    """The exit code of `manage.py verify_audit` and all that it prints."""
    out = io.StringIO()
    try:
        call_command("verify_audit", *arguments, stdout=out, stderr=out)
    except CommandError as error:
        return 1, f"{out.getvalue()}{error}"
    return 0, out.getvalue()


def seal() -> None:
    """What beat does each second, once."""
    chain.seal()
