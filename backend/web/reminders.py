"""A patient's reminders: the ledger as a table, each row with its story, and what staff may do about it."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse

from backend.accounts import access
from backend.accounts.access import Record
from backend.common import bodies, clock
from backend.common.problems import Problem, not_found
from backend.insights import words
from backend.reminders import interventions, walltime
from backend.reminders.models import Purpose, Reminder, Status
from backend.web import reminder_rows
from backend.web.pages import ConsolePage

PAGE = 30
REASON = (3, 500)
ACTS = {"cancel": interventions.cancel, "resend": interventions.resend, "let-be": interventions.let_be}
# What is told after an act, by the word in the address.
TOLD = {
    "cancel": "Taken back. Nothing is sent of it; its series goes on.",
    "resend": "It is sent again: at once, or after the patient's quiet hours.",
    "let-be": "Left as it is. It is no longer among those in doubt.",
}
_FILTERS = ("status", "purpose", "from", "until")


class Reminders(ConsolePage):
    """The ledger of one patient, latest first, of what is planned that up to tomorrow.

    `?status=`, `?purpose=`, `?from=`, `?until=` keep some of all; planned ones alone come soonest first.
    """

    def show(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The page. Raises a 404 problem to strangers."""
        return self.ledger(self.opened(kwargs["id"]), request.GET)

    def opened(self, patient_id: uuid.UUID) -> Record:
        """The record, for who treats the patient. Raises a 404 problem."""
        record = access.open_record(self.actor, patient_id)
        if record.own or record.by_caregiver:
            raise not_found()
        return record

    def ledger(
        self, record: Record, asked: Mapping[str, str], *, refused: str = "", form: Mapping[str, Any] | None = None
    ) -> HttpResponse:
        """The page of a record that was opened, with what was refused and the form as it was sent."""
        zone = record.patient.time_zone
        chosen = {name: asked.get(name, "") for name in _FILTERS}
        mine = Reminder.objects.filter(person=record.patient, clinic_id=self.actor.here)
        rows, soonest_first = _filtered(mine, chosen, zone=zone), chosen["status"] == Status.PLANNED
        ahead = _midnight(self.now.astimezone(clock.zone(zone)).date() + timedelta(days=2), zone)
        further = mine.filter(status=Status.PLANNED, due_at__gte=ahead)
        if not any(chosen.values()):  # months of visits to come would bury what was
            rows = rows.filter(Q(due_at__lt=ahead) | ~Q(status=Status.PLANNED))
        if beyond := asked.get("beyond"):
            rows = _beyond(rows, mine, beyond, later=soonest_first)
        order = ("due_at", "id") if soonest_first else ("-due_at", "-id")
        found = list(rows.select_related("rule").order_by(*order)[: PAGE + 1])
        shown = found[:PAGE]
        here = reverse("patient-reminders", args=[record.patient.id])
        kept = {name: value for name, value in chosen.items() if value}
        return self.page(
            "web/reminders.html",
            {
                **head(record, self.now, "ledger"),
                "statuses": _options(reminder_rows.STATES, chosen["status"]),
                "purposes": _options(reminder_rows.PURPOSES, chosen["purpose"]),
                "chosen": chosen,
                "filtered": bool(kept),
                "rows": reminder_rows.rows(shown, zones={record.patient.id: zone}, now=self.now, form=form),
                "more_href": f"{here}?{urlencode({**kept, 'beyond': shown[-1].id})}" if len(found) > PAGE else "",
                "more": "Later" if soonest_first else "Older",
                "first_href": f"{here}?{urlencode(kept)}" if asked.get("beyond") else "",
                "first": "Soonest" if soonest_first else "Latest",
                "further": 0 if any(chosen.values()) else further.count(),
                "told": TOLD.get(asked.get("told", ""), ""),
                "refused": refused,
            },
            status=409 if refused else 400 if form else 200,
        )


class Act(Reminders):
    """Where the forms of the ledger send what is to be done: `cancel`, `resend` or `let-be`, with the reason."""

    http_method_names = ["get", "head", "options", "post"]
    act = ""

    def show(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Back to the list with what was done, or the page with what is wrong. Raises a 404 problem to strangers."""
        record, reminder_id = self.opened(kwargs["id"]), kwargs["reminder"]
        if request.method != "POST":  # a page with a refusal, loaded again
            return redirect("patient-reminders", id=record.patient.id)
        if not Reminder.objects.filter(id=reminder_id, person=record.patient).exists():
            raise not_found()
        if fault := _fault(request.POST):
            form = {"id": reminder_id, "act": self.act, "reason": request.POST.get("reason", ""), "fault": fault}
            return self.ledger(record, {}, form=form)
        try:
            ACTS[self.act](
                reminder_id=reminder_id, actor=self.actor, reason_text=request.POST["reason"].strip(), now=self.now
            )
        except interventions.NoSuchReminder:
            raise not_found() from None
        except interventions.Refused as error:
            return self.ledger(record, {}, refused=str(error))
        if request.POST.get("back") == "unconfirmed":
            return redirect(f"{reverse('unconfirmed-reminders')}?told={self.act}")
        told = {"told": self.act, **_kept(request.POST)}
        return redirect(f"{reverse('patient-reminders', args=[record.patient.id])}?{urlencode(told)}#told")


def head(record: Record, now: datetime, here: str) -> dict[str, Any]:
    """What the patient's pages about reminders share: whose they are, the zone, the way between them."""
    zone, id = record.patient.time_zone, record.patient.id
    return {
        "name": record.patient.full_name,
        "patient_id": id,
        "patient_href": reverse("patient-page", args=[id]),
        "zone": words.place(zone),
        "zone_now": f"{words.wall_time(now, zone=zone)} there now, {words.offset(now, zone=zone)}",
        "tabs": [
            {"href": reverse(address, args=[id]), "name": name, "on": here == code}
            for code, address, name in (
                ("ledger", "patient-reminders", "What was sent"),
                ("plan", "patient-reminder-calendar", "What will be sent"),
            )
        ],
    }


def _filtered(rows: QuerySet[Reminder], chosen: Mapping[str, str], *, zone: str) -> QuerySet[Reminder]:
    if chosen["status"] == reminder_rows.DOUBT:
        rows = rows.filter(reminder_rows.in_doubt())
    elif chosen["status"]:
        rows = rows.filter(status=_one_of(chosen["status"], Status.values))
    if chosen["purpose"]:
        rows = rows.filter(purpose=_one_of(chosen["purpose"], Purpose.values))
    if chosen["from"]:
        rows = rows.filter(due_at__gte=_midnight(_day(chosen["from"]), zone))
    if chosen["until"]:
        rows = rows.filter(due_at__lt=_midnight(_day(chosen["until"]) + timedelta(days=1), zone))
    return rows


def _beyond(rows: QuerySet[Reminder], mine: QuerySet[Reminder], beyond: str, *, later: bool) -> QuerySet[Reminder]:
    """Those after the last row of the page before. The first condition lets the index begin there."""
    try:
        last = mine.filter(id=uuid.UUID(beyond)).first()
    except ValueError:
        last = None
    if last is None:
        raise Problem(status=404, code="not_found", detail="There is no such reminder.")
    if later:
        return rows.filter(Q(due_at__gt=last.due_at) | Q(due_at=last.due_at, id__gt=last.id), due_at__gte=last.due_at)
    return rows.filter(Q(due_at__lt=last.due_at) | Q(due_at=last.due_at, id__lt=last.id), due_at__lte=last.due_at)


def _fault(sent: QueryDict) -> str:
    reason = sent.get("reason", "").strip()
    if REASON[0] <= len(reason) <= REASON[1] and "\x00" not in reason:
        return ""
    return f"Say why, in {REASON[0]} to {REASON[1]} characters; colleagues read it in the audit trail."


def _kept(sent: QueryDict) -> dict[str, str]:
    return {name: value for name in _FILTERS if (value := sent.get(name, ""))}


def _one_of(value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise Problem(status=400, code="invalid", detail="There is no such filter.")
    return value


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not bodies.EARLIEST.date() <= day <= bodies.LATEST.date():
        raise Problem(status=400, code="invalid", detail="Days are written 2026-11-24.")
    return day


def _midnight(day: date, zone: str) -> datetime:
    return walltime.instant(datetime.combine(day, time()), clock.zone(zone))


def _options(known: Mapping[str, str], chosen: str) -> list[dict[str, Any]]:
    return [{"value": value, "name": name, "on": value == chosen} for value, name in known.items()]
