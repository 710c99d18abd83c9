"""One patient: four figures, the reasons, one chart that tells the range, and the same numbers as a table."""

import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.safestring import mark_safe

from backend.accounts import access, notes
from backend.accounts.access import Record
from backend.accounts.models import Person
from backend.aftercare.models import MoodCheckIn
from backend.common import clock
from backend.common.problems import Problem, not_found
from backend.insights import chart, lanes, panel, queries, telling, timeline, words
from backend.insights import days as calendar
from backend.insights.attention import Level
from backend.insights.panel import Coming, Row
from backend.insights.series import Series
from backend.web import annotations, figures, numbers
from backend.web.pages import ConsolePage
from backend.web.panel import FILTERS, TONES

# name of the range in the address: days, the short word on the switch, the whole one
RANGES = {"4w": (28, "4 w", "Four weeks"), "12w": (84, "12 w", "Twelve weeks"), "1y": (365, "1 y", "One year")}
HAPPENED = 20  # entries of the timeline; the API has the rest
_ANSWERS = ("mood", "anxiety", "energy", "irritability", "craving", "clarity")


class PatientPage(ConsolePage):
    """The record of a patient of the care team. `?range=` is 4w, 12w (default) or 1y."""

    def show(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The page. Raises a 404 problem to strangers."""
        patient_id: uuid.UUID = kwargs["id"]
        record = access.open_record(self.actor, patient_id)
        if record.own:
            raise not_found()
        chosen = request.GET.get("range", "12w")
        if chosen not in RANGES:
            raise Problem(status=400, code="invalid", detail="range is 4w, 12w or 1y.")
        return self.record(record, chosen)

    def record(self, record: Record, chosen: str, *, sent: QueryDict | None = None, fault: str = "") -> HttpResponse:
        """The page of a record that was opened, with the form for an annotation as it was sent and what is wrong."""
        patient_id = record.patient.id
        span = calendar.span_of(today=calendar.day_of(zones=record.zones, at=self.now), days=RANGES[chosen][0])
        series = queries.series_of(
            patient_id=patient_id,
            clinic_id=record.clinic_id,
            zones=record.zones,
            span=span,
            now=self.now,
            answers=True,
        )
        everyone = panel.rows(
            patients=access.open_to(self.actor),  # one that was opened in an emergency is in no list
            clinic_id=self.actor.here,
            reader=self.actor.person,
            now=self.now,
        )
        row = next(row for row in everyone if row.patient == patient_id)
        reasons = [reason for reason in row.standing.reasons if reason.code != "steady"]
        tones = {TONES.get(reason.code, "watch") for reason in reasons}
        return self.page(
            "web/patient.html",
            {
                **self._head(record.patient, row),
                **_place(row, everyone),
                **self._trend(series, chosen),
                "figures": figures.strip(series=series, row=row),
                "tone": "watch" if "watch" in tones else "plain",
                "reasons": [
                    {"code": r.code, "text": r.text, "detail": r.detail, "tone": TONES.get(r.code, "watch")}
                    for r in reasons
                ],
                **self._side(record.patient, row, series),
                "annotations": annotations.latest(record),
                "form": annotations.form(record, now=self.now, sent=sent, fault=fault),
                "happened": annotations.happened(
                    timeline.page(record, now=self.now, limit=HAPPENED)[0], record=record, now=self.now
                ),
                "timeline_href": reverse("timeline", args=[patient_id]),
                "annotate_href": reverse("annotate", args=[patient_id]),
                "reminders_href": reverse("patient-reminders", args=[patient_id]),
                "noted": bool(series.marked("annotation")),
            },
            status=400 if fault else 200,
        )

    def _head(self, patient: Person, row: Row) -> dict[str, Any]:
        facts = []
        if patient.born_on:
            today = row.glance.today
            had_birthday = (today.month, today.day) >= (patient.born_on.month, patient.born_on.day)
            years = today.year - patient.born_on.year - (not had_birthday)
            sex = {"female": "Woman, ", "male": "Man, "}.get(patient.sex_at_birth, "")
            facts.append(f"{sex}{years}" if sex else f"{years} years")
        facts.append(
            f"Ketamine {row.route}, {words.counted(row.sessions_held, 'session')}" if row.route else "Before treatment"
        )
        here = self.actor.person.time_zone
        there = f"Zone: {words.place(row.zone)}"
        if words.offset(self.now, zone=here) != words.offset(self.now, zone=row.zone):
            there += f", {words.wall_time(self.now, zone=row.zone)} there now"
        facts.append(there)
        return {"name": patient.full_name, "facts": facts}

    def _trend(self, series: Series, chosen: str) -> dict[str, Any]:
        address = reverse("patient-page", args=[series.trend.patient])
        asked = urlencode({"since": series.trend.since, "until": series.trend.until})
        substances = lanes.spoken_of(series)
        return {
            "length": RANGES[chosen][2],
            "ranges": [
                {"href": f"{address}?range={name}", "short": short, "name": whole, "on": name == chosen}
                for name, (_, short, whole) in RANGES.items()
            ],
            "lanes": ", ".join(["Sleep", "exercise", *(words.substance(code).lower() for code in substances)]),
            "wide": mark_safe(chart.draw(series, ident="wide")),  # noqa: S308  our own drawing, its text escaped
            "narrow": mark_safe(chart.draw(series, ident="narrow", narrow=True)),  # noqa: S308
            "substances": substances,
            "columns": numbers.columns(series),
            "rows": numbers.rows(series),
            "svg_href": f"{reverse('patient-trend-picture', args=[series.trend.patient])}?{asked}",
            "json_href": f"{reverse('patient-trend', args=[series.trend.patient])}?{asked}",
        }

    def _side(self, patient: Person, row: Row, series: Series) -> dict[str, Any]:
        zone = self.actor.person.time_zone
        last = (
            MoodCheckIn.objects.filter(patient=patient, deleted_at__isnull=True)
            .order_by("-felt_at")
            .only("felt_at", "note", "patient_id", *_ANSWERS)
            .first()
        )
        coming = panel.coming([patient.id], clinic_id=self.actor.here, reader=self.actor.person, now=self.now).get(
            patient.id, []
        )
        held = [session for session in reversed(series.sessions) if session.at <= self.now]
        return {
            "answers": [
                {"name": name.capitalize(), "value": value}
                for name in _ANSWERS
                if last is not None and (value := getattr(last, name)) is not None
            ],
            "note": _note(last) if last else "",
            "answers_when": words.moment(last.felt_at, now=self.now, zone=zone) if last else "",
            "visits": [self._visit(visit) for visit in coming[:4]],
            "sessions_held": row.sessions_held,
            "sessions": [
                {
                    "when": words.full(session.at.astimezone(clock.zone(row.zone)).date()),
                    "what": f"{words.dose(session.dose_mg)} mg" if session.dose_mg is not None else "no dose noted",
                }
                for session in held[:5]
            ],
        }

    def _visit(self, visit: Coming) -> dict[str, str]:
        local = visit.at.astimezone(clock.zone(self.actor.person.time_zone))
        state = {"planned": "not confirmed yet", "confirmed": "confirmed", "move_asked": "asked to move"}
        facts = [f"{local:%H:%M}", visit.place or "", state.get(visit.status or "", "")]
        return {
            "what": f"{words.visit(visit.kind)}, {words.dated(local.date())}",
            "detail": ", ".join(fact for fact in facts if fact),
        }


def _note(last: MoodCheckIn) -> str:
    held = {"id": last.id, "patient_id": last.patient_id, "note": last.note}
    text = notes.opened(MoodCheckIn._meta.db_table, [held], ("note",))[0]["note"]
    return telling.UNREADABLE if text is None else text


class Annotate(PatientPage):
    """Where the form of the patient's page sends an annotation."""

    http_method_names = ["get", "head", "options", "post"]

    def show(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Back to the patient's page, or the page again with what is wrong. Raises a 404 problem to strangers."""
        record = access.open_record(self.actor, kwargs["id"])
        if record.own:
            raise not_found()
        if request.method != "POST":  # a page with a fault in its form, loaded again
            return self.record(record, "12w")
        fault = annotations.store(record, author=self.actor.person, sent=request.POST, now=self.now)
        if fault:
            return self.record(record, "12w", sent=request.POST, fault=fault)
        return HttpResponseRedirect(f"{reverse('patient-page', args=[kwargs['id']])}#annotations")


def _place(row: Row, everyone: Sequence[Row]) -> dict[str, str]:
    """Where the patient stands among those who need the reader today, and the addresses of the neighbours there."""
    needed = [other.patient for other in everyone if FILTERS["needed"][1](other)]
    if row.patient not in needed:
        return {"place": "Keep an eye on" if row.standing.level is Level.WATCH else "Steady"}
    at = needed.index(row.patient)
    neighbours = {}
    if at > 0:
        neighbours["previous_href"] = reverse("patient-page", args=[needed[at - 1]])
    if at + 1 < len(needed):
        neighbours["next_href"] = reverse("patient-page", args=[needed[at + 1]])
    return {"place": f"{at + 1} of {len(needed)} who need you", **neighbours}
