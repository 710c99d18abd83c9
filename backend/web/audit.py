"""The audit trail as a page, for administrators and auditors: who did what, to whose record, when and from where."""

import uuid
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from backend.accounts import happenings
from backend.accounts.models import OVERSEERS, Action, AuditEvent
from backend.common import clock
from backend.common.problems import Problem
from backend.insights import words
from backend.web.pages import ConsolePage

PAGE = 50
_SOME = 3  # names in a line, then a number

# name of the filter in the address: its words, and the actions that it keeps
FILTERS: dict[str, tuple[str, tuple[Action, ...]]] = {
    "all": ("All", tuple(Action)),
    "reads": ("Reading", (Action.READ, Action.LIST, Action.EXPORT)),
    "changes": ("Changes", (Action.CREATE, Action.UPDATE, Action.DELETE)),
    "sign-ins": ("Sign-ins", (Action.SIGN_IN, Action.SIGN_IN_FAILED, Action.SIGN_OUT)),
    "emergency": ("Opened in an emergency", (Action.BREAK_GLASS,)),
    "refused": ("Refused", (Action.REFUSED,)),
}
_SAID = {
    Action.READ: "Read",
    Action.LIST: "Listed",
    Action.EXPORT: "Exported",
    Action.CREATE: "Added",
    Action.UPDATE: "Changed",
    Action.DELETE: "Deleted",
    Action.SIGN_IN: "Signed in",
    Action.SIGN_IN_FAILED: "Could not sign in",
    Action.SIGN_OUT: "Signed out",
    Action.BREAK_GLASS: "Opened in an emergency",
    Action.REFUSED: "Was refused",
}


class AuditPage(ConsolePage):
    """The clinic's trail, latest first. `?show=` keeps some of it, `?before=` is the event above the page."""

    readers = OVERSEERS

    def show(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The page. Raises a 404 problem for an event that is not the clinic's."""
        chosen = request.GET.get("show", "all")
        chosen = chosen if chosen in FILTERS else "all"
        rows = AuditEvent.objects.filter(clinic_id=self.actor.here)
        if chosen != "all":
            rows = rows.filter(action__in=FILTERS[chosen][1])
        if before := request.GET.get("before"):
            last = rows.filter(id=_id(before)).first()
            if last is None:
                raise Problem(status=404, code="not_found", detail="There is no such event.")
            rows = rows.filter(
                Q(done_at__lt=last.done_at) | Q(done_at=last.done_at, id__lt=last.id), done_at__lte=last.done_at
            )
        found = list(rows.order_by("-done_at", "-id")[: PAGE + 1])
        shown = found[:PAGE]
        names = happenings.names_of(
            {id for row in shown for id in (row.person_id, *row.patients[:_SOME]) if id is not None}
        )
        return self.page(
            "web/audit.html",
            {
                "on_audit": True,
                "chips": [
                    {"name": label, "href": self._address(show=name), "on": name == chosen}
                    for name, (label, _) in FILTERS.items()
                ],
                "rows": [self._row(row, names) for row in shown],
                "older_href": self._address(show=chosen, before=str(shown[-1].id)) if len(found) > PAGE else "",
            },
        )

    def _address(self, **parameters: str) -> str:
        asked = {name: value for name, value in parameters.items() if value != "all"}
        return reverse("audit-trail") + (f"?{urlencode(asked)}" if asked else "")

    def _row(self, row: AuditEvent, names: dict[uuid.UUID, str]) -> dict[str, Any]:
        local = row.done_at.astimezone(clock.zone(self.actor.person.time_zone))
        people = [names.get(id, "someone who left") for id in row.patients[:_SOME] if id != row.person_id]
        more = len(row.patients) - _SOME
        who = names.get(row.person_id, "Someone of another clinic") if row.person_id else "Nobody signed in"
        return {
            "iso": row.done_at.isoformat(),
            "when": f"{words.dated(local.date())}, {local:%H:%M:%S}",
            "who": who if row.person_id or row.action == Action.SIGN_IN_FAILED else "Afterglow itself",
            "role": row.roles.replace(",", ", ").replace("_", " "),
            "what": _SAID[Action(row.action)],
            "object": "" if row.object_type == "sign-in" else _words(row.object_type),
            "tone": "watch" if row.action in {Action.REFUSED, Action.SIGN_IN_FAILED, Action.BREAK_GLASS} else "plain",
            "people": ", ".join(people) + (f" and {more} others" if more > 0 else ""),
            "reason": row.reason,
            "address": row.address,
        }


def _words(object_type: str) -> str:
    """patients/care-team as patients, care team."""
    return object_type.removeprefix("pages/").replace("-", " ").replace("/", ", ")


def _id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.UUID(int=0)  # nobody's
