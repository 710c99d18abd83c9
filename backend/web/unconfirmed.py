"""Messages that were handed over and never confirmed, of all patients of the reader: sent again, or let be."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from backend.accounts import access
from backend.reminders.models import Reminder
from backend.web import reminder_rows
from backend.web.pages import ConsolePage
from backend.web.reminders import TOLD

MOST = 100


class Unconfirmed(ConsolePage):
    """The list, latest first, each in its patient's zone. The forms are those of the patients' own pages."""

    def show(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The page."""
        found = reminder_rows.doubtful(access.patients_of(self.actor), clinic_id=self.actor.here)
        latest = list(found.select_related("rule", "person").order_by("-due_at", "-id")[: MOST + 1])
        shown = latest[:MOST]
        self.actor.shown.update(row.person_id for row in shown)
        return self.page(
            "web/unconfirmed.html",
            {
                "rows": [
                    {**told, "name": row.person.full_name, "href": _address(row)}
                    for row, told in zip(shown, self._rows(shown), strict=True)
                ],
                "more": len(latest) > MOST,
                "told": TOLD.get(request.GET.get("told", ""), ""),
            },
        )

    def _rows(self, shown: list[Reminder]) -> list[dict[str, Any]]:
        zones = {row.person_id: row.person.time_zone for row in shown}
        return reminder_rows.rows(shown, zones=zones, now=self.now)


def _address(row: Reminder) -> str:
    return reverse("patient-reminders", args=[row.person_id])
