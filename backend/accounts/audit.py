"""Telling the audit trail: what the database cannot see by itself (reads, sign-ins, refusals).

Writes are told by triggers. Who did it, where and from where comes from the context of `access.acting_as`.
"""

import uuid
from collections.abc import Collection

from django.db import connections

from backend.accounts.models import Action

_WRITE = "SELECT audit_write(%s, %s, %s::uuid[], %s::uuid[], %s, NULL, %s, %s, %s)"


def note(
    *,
    action: str,
    object_type: str,
    object_id: uuid.UUID | None = None,
    object_ids: Collection[uuid.UUID] = (),
    patients: Collection[uuid.UUID] = (),
    reason: str = "",
    clinic_id: uuid.UUID | None = None,
    person_id: uuid.UUID | None = None,
    using: str = "default",
) -> None:
    """One event, in the transaction that runs: it is there exactly when the rest of it is.

    `patients` are those whose content was shown or concerned; a reason has at most 500 characters. Clinic and person
    are those of the context unless given.
    """
    ids = [*object_ids, *([object_id] if object_id else [])]
    _write(action, object_type, ids, patients, reason, clinic_id, person_id, "", using)


def note_read(
    *, action: str, object_type: str, object_ids: Collection[uuid.UUID], patients: Collection[uuid.UUID], once: str = ""
) -> None:
    """A read. `once` is "hour" for the own record (one event per device and hour), "request" beside a write.

    A request that wrote is told by what it wrote, so its answer makes an event only when nothing was written.
    """
    _write(action, object_type, object_ids, patients, "", None, None, once, "default")


def _write(
    action: str,
    object_type: str,
    object_ids: Collection[uuid.UUID],
    patients: Collection[uuid.UUID],
    reason: str,
    clinic_id: uuid.UUID | None,
    person_id: uuid.UUID | None,
    once: str,
    using: str,
) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute(
            _WRITE,
            [
                Action(action).value,
                object_type[:60],
                list(object_ids),
                sorted(patients),
                reason[:500],
                clinic_id,
                person_id,
                once,
            ],
        )
