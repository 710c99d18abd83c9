"""Opening the record of another team's patient: find by name and birth date, say why, and everybody is told."""

import uuid
from datetime import date
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from backend.accounts import access, emergency
from backend.accounts.models import Role
from backend.common.problems import not_found
from backend.web import errors
from backend.web.pages import ConsolePage

_SHORTEST_REASON = 10


class Emergency(ConsolePage):
    """`?name=` and `?born_on=` find, `?patient=` names someone whose address was opened; POST opens for four hours."""

    http_method_names = ["get", "head", "options", "post"]

    def show(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The page, or the record that was opened. Raises a 404 problem for who is no patient of the clinic."""
        if Role.PSYCHIATRIST not in self.actor.roles:
            return errors.page(request, status=403, headline="Only psychiatrists open a record in an emergency")
        if request.method == "POST":
            return self._open(request)
        found, fault = self._find(request)
        named = _uuid(request.GET.get("patient", ""))
        if named is not None and not access.is_patient_here(named):
            raise not_found()
        asked = {name: request.GET.get(name, "") for name in ("name", "born_on")}
        return self.page("web/emergency.html", {"found": found, "fault": fault, "named": named, **asked})

    def _find(self, request: HttpRequest) -> tuple[list[emergency.Found] | None, str]:
        name, born = " ".join(request.GET.get("name", "").split()), request.GET.get("born_on", "")
        if not name and not born:
            return None, ""
        try:
            found = list(emergency.find(name=name, born_on=date.fromisoformat(born)))
        except ValueError:
            return None, "Give the birth date as year-month-day, for example 1984-03-21."
        self.actor.shown.update(person.id for person in found)
        return found, ""

    def _open(self, request: HttpRequest) -> HttpResponse:
        patient, reason = _uuid(request.POST.get("patient", "")), request.POST.get("reason", "").strip()
        if patient is None:
            raise not_found()
        if not _SHORTEST_REASON <= len(reason) <= 500 or "\x00" in reason:
            fault = f"Say why in {_SHORTEST_REASON} to 500 characters; patient and administrators can read it."
            page = self.page("web/emergency.html", {"named": patient, "reason_fault": fault, "reason": reason})
            page.status_code = 400
            return page
        try:
            emergency.open_for(actor=self.actor, patient_id=patient, reason=reason, now=self.now)
        except emergency.NotAPatientHere:
            raise not_found() from None
        except emergency.OnTheTeam:
            pass  # the record is open anyway
        return redirect("patient-page", id=patient)


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
