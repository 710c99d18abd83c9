"""Tells the clinics of patients who have not answered for days, once for each silence."""

import uuid
from datetime import datetime

from backend.accounts import access
from backend.accounts.models import CareTeamMember, Person
from backend.reminders import ledger, schedule, wishes
from backend.reminders.models import Purpose, Rule, Silence

_ABOUT = "patient"
_AT_ONCE = 200


def tell(*, now: datetime) -> int:
    """Writes to every member of the care team of each patient whose silence nobody was told of; the number told.

    Each clinic is entered as its machine. Where a patient has no care team, the silence waits until there is one.
    """
    with access.dispatching("look for silences"):
        untold = Silence.objects.using("dispatch").filter(told_at__isnull=True, ended_at__isnull=True)
        clinics = sorted({clinic for clinic in untold.values_list("clinic_id", flat=True) if clinic is not None})
    return sum(_tell_clinic(clinic, now) for clinic in clinics)


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
                _write_to(member, silence, now)
            if members:
                silence.told_at = now
                silence.save(update_fields=["told_at"])
                told += 1
    return told


def _write_to(member: Person, silence: Silence, now: datetime) -> None:
    """One rule for each member and patient, whose anchor is the latest silence; nobody's counter is waited for."""
    about = {"about_type": _ABOUT, "about_id": silence.person_id, "purpose": Purpose.SILENCE, "person": member}
    known = Rule.objects.filter(**about, anchor_at__isnull=False).select_for_update(no_key=True).first()
    rule = known or Rule(**about, created_at=now, version=0, offsets=[{"minutes": 0}])
    rule.clinic_id, rule.anchor_at, rule.time_zone, rule.ended_at = silence.clinic_id, now, member.time_zone, None
    rule.window_minutes = Purpose.SILENCE.facts.window
    wishes.copy(rule, member, now=now)
    rule.version, rule.updated_at = rule.version + 1, now
    rule.save(force_insert=known is None)
    ledger.add(rule, schedule.place(rule, due_at=now), now=now)
