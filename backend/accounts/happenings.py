"""Events of the audit trail as their readers see them: whole for overseers, without strangers for a patient."""

import uuid
from collections.abc import Sequence
from typing import Any

from backend.accounts.access import Actor
from backend.accounts.models import STAFF, AuditEvent, Clinic, Person

# Whoever acted is one of these where it was no person.
_SYSTEM = "system"
# What staff wrote for colleagues about what they did; the patient sees that it was done.
_BETWEEN_COLLEAGUES = ("reminders/cancel", "reminders/resend", "reminders/let-be")


def names_of(people: set[uuid.UUID]) -> dict[uuid.UUID, str]:
    """The names that the database shows to who asks: all of the clinic to its overseers, the care team to a patient."""
    return dict(Person.objects.filter(id__in=people).values_list("id", "full_name"))


def as_json(rows: Sequence[AuditEvent], *, actor: Actor, oversees: bool) -> list[dict[str, Any]]:
    """The events for the reader. A patient learns who it was by name for the care team, else only for which clinic."""
    names = names_of({row.person_id for row in rows if row.person_id})
    clinics = dict(Clinic.objects.filter(id__in={row.clinic_id for row in rows}).values_list("id", "name"))
    tell = _whole if oversees else _withheld
    return [tell(row, actor.person.id, names, clinics.get(row.clinic_id)) for row in rows]


def _whole(row: AuditEvent, reader: uuid.UUID, names: dict[uuid.UUID, str], clinic: str | None) -> dict[str, Any]:
    return {
        **_common(row),
        "actor": {"id": row.person_id, "role": role_of(row), "name": _name(row, names)},
        "object": {"type": row.object_type, "id": _only(row.object_ids), "ids": row.object_ids},
        "patients": row.patients,
        "reason": row.reason or None,
        "from": {"address": row.address or None, "device": row.device_id},
        "request": row.request_id or None,
    }


def _withheld(row: AuditEvent, reader: uuid.UUID, names: dict[uuid.UUID, str], clinic: str | None) -> dict[str, Any]:
    own, known = row.person_id == reader, row.person_id in names
    role = role_of(row)
    name = _name(row, names)
    if name is None and role != _SYSTEM:
        name = f"a member of staff at {clinic or 'a clinic'}" if set(row.roles.split(",")) & STAFF else "someone else"
    # Ids of a statement over several patients are others' too.
    ids = row.object_ids if set(row.patients) <= {reader} else []
    return {
        **_common(row),
        "actor": {"id": row.person_id if own or known else None, "role": role, "name": name},
        "object": {"type": row.object_type, "id": _only(ids), "ids": ids},
        "patients": [reader] if reader in row.patients else [],
        "reason": None if row.object_type in _BETWEEN_COLLEAGUES else row.reason or None,
        "from": {"address": row.address or None, "device": row.device_id} if own else {"address": None, "device": None},
        "request": row.request_id or None if own else None,
    }


def _common(row: AuditEvent) -> dict[str, Any]:
    return {"id": row.id, "at": row.done_at, "action": row.action}


def role_of(row: AuditEvent) -> str:
    """The roles held then, or `person` for someone who was just signing in, or `system`."""
    return row.roles or ("person" if row.person_id else _SYSTEM)


def _name(row: AuditEvent, names: dict[uuid.UUID, str]) -> str | None:
    return names.get(row.person_id) if row.person_id else None


def _only(ids: Sequence[uuid.UUID]) -> uuid.UUID | None:
    return ids[0] if len(ids) == 1 else None
