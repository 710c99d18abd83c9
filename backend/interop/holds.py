"""Legal holds: while one is open, nothing of the patient is erased, by nobody's wish and by no rule."""

import uuid
from datetime import datetime

from backend.common import locks
from backend.interop.models import LegalHold


def put(
    *, patient_id: uuid.UUID, clinic_id: uuid.UUID, by: uuid.UUID, reason: str, now: datetime
) -> tuple[LegalHold, bool]:
    """Keeps the record from now on, and whether that is new; while the clinic has one open, it is that one."""
    locks.take(f"erasure of {patient_id}")
    known = LegalHold.objects.filter(patient_id=patient_id, clinic_id=clinic_id, lifted_at__isnull=True).first()
    if known is not None:
        return known, False
    made = LegalHold.objects.create(patient_id=patient_id, clinic_id=clinic_id, reason=reason, set_by_id=by, set_at=now)
    return made, True


def lift(*, id: uuid.UUID, by: uuid.UUID, reason: str, now: datetime) -> LegalHold:
    """Ends a hold; twice is the same as once. Raises LegalHold.DoesNotExist."""
    row = LegalHold.objects.select_for_update(of=("self",)).get(id=id)
    if row.lifted_at is None:
        row.lifted_at, row.lifted_by_id, row.lift_reason = now, by, reason
        row.save(update_fields=["lifted_at", "lifted_by_id", "lift_reason"])
    return row
