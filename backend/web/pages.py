"""The base of every page of the console: who reads, inside which transaction, and what the frame around it says."""

import uuid
from datetime import datetime
from typing import Any, ClassVar

from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views import View

from backend.accounts import access, activity, second_factor, trail
from backend.accounts.access import Actor
from backend.accounts.door import device_of
from backend.accounts.models import CLINICIANS, OVERSEERS, Clinic, Person, Role
from backend.common import client_address, clock
from backend.common.problems import Problem
from backend.insights import words
from backend.web import errors
from backend.web.account import to_set_up

_ROLES = (Role.PSYCHIATRIST, Role.THERAPIST, Role.NURSE, Role.ADMINISTRATOR, Role.AUDITOR)


class ConsolePage(View):
    """One page view, one transaction: entered after sign-in is certain, rolled back by an exception or a refusal.

    Only the roles in `readers` pass; others get words and not a page. A subclass answers `show`.
    """

    http_method_names = ["get", "head", "options"]
    readers: ClassVar[frozenset[str]] = frozenset(CLINICIANS)
    now: datetime
    actor: Actor

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The page, or the way to sign in, or a refusal in words."""
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path(), reverse("account_login"))
        if (request.method or "").lower() not in self.http_method_names:
            return self.http_method_not_allowed(request)
        self.now = clock.now()
        person: Person = request.user
        if second_factor.is_missing(person=person, session=request.session):
            return to_set_up(request)
        activity.note(request=request, session=request.session, person=person, now=self.now)
        try:
            self.actor = access.actor_of(
                person=person,
                clinic_id=self._clinic(request, person),
                device_id=device_of(request.session),
                request_id=getattr(request, "request_id", ""),
                address=client_address.address_of(request),
            )
            if not self.actor.roles & self.readers:
                return self._refused(request, 403)
            with access.entered_by(self.actor, f"page {type(self).__name__}"):
                response = self.show(request, *args, **kwargs)
                if response.status_code >= 400:
                    transaction.set_rollback(True)
                else:
                    trail.tell(self.actor, request)
            trail.tell_refusal(self.actor, request, status=response.status_code)
        except Problem as problem:
            if problem.code == "break_glass_required":
                trail.tell_refusal(self.actor, request, status=403, code=problem.code)
                return redirect(f"{reverse('emergency')}?patient={kwargs['id']}")
            return self._refused(request, problem.status_code)
        response["Cache-Control"] = "private, no-store"
        return response

    def _refused(self, request: HttpRequest, status: int) -> HttpResponse:
        if hasattr(self, "actor"):
            trail.tell_refusal(self.actor, request, status=status)
            if status == 403 and self.actor.roles & OVERSEERS:
                way = {"link_href": reverse("audit-trail"), "link_text": "Who saw and changed what"}
                return errors.page(request, status=status, **way)
        return errors.page(request, status=status)

    def show(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The page itself, inside the transaction. May raise a Problem."""
        raise NotImplementedError

    def page(self, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
        """The template within the console's frame."""
        return render(self.request, template, {**self._frame(), **context}, status=status)

    def _frame(self) -> dict[str, Any]:
        person, zone = self.actor.person, self.actor.person.time_zone
        local = self.now.astimezone(clock.zone(zone))
        role = next((role for role in _ROLES if role in self.actor.roles), None)
        clinic = Clinic.objects.filter(id=self.actor.here).values_list("short_name", flat=True).first()
        return {
            "theme": errors.theme_of(self.request),
            "in_care": access.patients_of(self.actor).count(),
            "now_iso": self.now.isoformat(timespec="seconds"),
            "reader": {
                "name": person.full_name,
                "role": Role(role).label if role else "",
                "clinic": clinic,
                "cares": self.actor.is_clinician,
                "oversees": bool(self.actor.roles & OVERSEERS),
                "time": f"{words.dated(local.date())}, {local:%H:%M}",
                "clock": f"{local:%H:%M}",
                "offset": words.offset(self.now, zone=zone),
            },
        }

    def _clinic(self, request: HttpRequest, person: Person) -> uuid.UUID | None:
        """The clinic that a person with several reads for: the one chosen by `?clinic=`, kept in the session."""
        mine = [str(clinic) for clinic, held in person.open_roles.items() if held & self.readers]
        asked = request.GET.get("clinic", "")
        if asked in mine and asked != request.session.get("clinic"):
            request.session["clinic"] = asked
        kept = request.session.get("clinic")
        chosen = kept if kept in mine else next(iter(mine), None)
        return uuid.UUID(chosen) if chosen else None
