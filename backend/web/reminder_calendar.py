"""What will be sent to a patient in the next two weeks, as a calendar in the patient's zone."""

import uuid
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse

from backend.accounts.access import Record
from backend.common import clock
from backend.insights import words
from backend.reminders import outlook, walltime
from backend.reminders.models import Channel, Purpose
from backend.reminders.outlook import Expected, Span
from backend.web import reminder_rows
from backend.web.reminders import Reminders, head

DAYS = 14


class Plan(Reminders):
    """The dry run by days, from the patient's today on."""

    def show(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The page. Raises a 404 problem to strangers."""
        patient_id: uuid.UUID = kwargs["id"]
        record = self.opened(patient_id)
        plan = outlook.expected(patient=record.patient, clinic_id=record.clinic_id, span=Span(self.now, DAYS))
        days = self._days(record, plan)
        return self.page(
            "web/reminder_plan.html",
            {
                **head(record, self.now, "plan"),
                "weekdays": words.WEEKDAYS,
                "days": days,
                "quiet": _quiet(record),
                "count": words.counted(sum(each["count"] for each in days), "message"),
            },
        )

    def _days(self, record: Record, plan: Sequence[Expected]) -> list[dict[str, Any]]:
        zone = clock.zone(record.patient.time_zone)
        today = self.now.astimezone(zone).date()
        on: dict[date, list[Expected]] = {}
        for each in plan:
            on.setdefault(each.at.astimezone(zone).date(), []).append(each)
        days = [today + timedelta(days=n) for n in range(DAYS)]
        return [_day(day, on.get(day, []), zone, today) for day in days]


def _day(day: date, plan: Sequence[Expected], zone: ZoneInfo, today: date) -> dict[str, Any]:
    entries = [_entry(each, zone) for each in plan]
    return {
        "iso": day.isoformat(),
        "name": words.dated(day),
        "today": day == today,
        "column": day.weekday() + 1 if day == today else 0,
        "clocks": _clocks(day, zone),
        "entries": entries,
        "count": sum(not each["skip"] for each in entries),
    }


def _entry(each: Expected, zone: ZoneInfo) -> dict[str, Any]:
    at, due = each.at.astimezone(zone), each.due_at.astimezone(zone)
    moved = ""
    if each.moved_by_quiet and not each.would_skip:
        from_ = f"{due:%H:%M}" if due.date() == at.date() else f"{words.dated(due.date())} {due:%H:%M}"
        moved = f"moved from {from_} by quiet hours"
    return {
        "iso": each.at.isoformat(),
        "time": f"{at:%H:%M}",
        "purpose": reminder_rows.PURPOSES[Purpose(each.rule.purpose)],
        "ways": _ways(each.channels),
        "moved": moved,
        "skip": reminder_rows.why(each.would_skip or ""),
    }


def _ways(names: Sequence[str]) -> str:
    """Inbox, e-mail, else text message: the first outward one, and what is tried when it fails."""
    inbox, *outward = [reminder_rows.CHANNELS[Channel(name)] for name in names]
    if not outward:
        return inbox
    first, *others = [name.lower() for name in outward]
    return ", else ".join([f"{inbox}, {first}", *others])


def _clocks(day: date, zone: ZoneInfo) -> str:
    """Which way clocks go on a day, if they do."""
    begins, ends = (walltime.instant(datetime.combine(day + timedelta(days=n), time()), zone) for n in (0, 1))
    change = (ends.astimezone(zone).utcoffset() or timedelta()) - (begins.astimezone(zone).utcoffset() or timedelta())
    minutes = int(change.total_seconds() // 60)
    if not minutes:
        return ""
    by = words.counted(abs(minutes) // 60, "hour") if minutes % 60 == 0 else f"{abs(minutes)} minutes"
    return f"Clocks go {'forward' if minutes > 0 else 'back'} {by}"


def _quiet(record: Record) -> str:
    patient = record.patient
    if patient.quiet_from is None or patient.quiet_until is None:
        return "No quiet hours."
    return f"Quiet hours {patient.quiet_from:%H:%M} to {patient.quiet_until:%H:%M}."
