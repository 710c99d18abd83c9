"""Tells the clinics of patients who have not answered for days, once for each silence."""

import uuid
from datetime import datetime, timedelta

from backend.accounts import access
from backend.accounts.models import CareTeamMember, Person
from backend.reminders import planning
from backend.reminders.models import Purpose, Silence

_ABOUT = "patient"
_AT_ONCE = 200
# A reminder whose instant has passed is none: the note is due a moment from now.
_SOON = timedelta(seconds=1)


def tell(*, now: datetime) -> int:
    """Writes to every member of the care team of each patient whose silence nobody was told of; the number told.

    Each clinic is entered as its machine. Where a patient has no care team, the silence waits until there is one.
    """
    return sum(_tell_clinic(clinic, now) for clinic in access.clinics())


def _tell_clinic(clinic_id: uuid.UUID, now: datetime) -> int:
    told = 0
    with access.acting_as(None, clinic_id, "tell of silences"):
        untold = Silence.objects.filter(clinic_id=clinic_id, told_at__isnull=True, ended_at__isnull=True)
        for silence in untold.order_by("noted_at").select_for_update(skip_locked=True)[:_AT_ONCE]:
            care = CareTeamMember.objects.filter(
                clinic_id=clinic_id, patient_id=silence.person_id, ended_at__isnull=True
            )
            members = list(Person.objects.filter(id__in=care.values("member_id"), deactivated_at=None).order_by("id"))
            for member in members:
                planning.set_anchor(
                    person=member,
                    purpose=Purpose.SILENCE,
                    about=(_ABOUT, silence.person_id),
                    anchor_at=now + _SOON,
                    offsets=({"minutes": 0},),
                    clinic_id=clinic_id,
                    now=now,
                )
            if members:
                silence.told_at = now
                silence.save(update_fields=["told_at"])
                told += 1
    return told
