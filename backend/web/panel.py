"""The panel: the people of the reader's care teams by who needs someone today, the reason before the number."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import mark_safe

from backend.accounts import access
from backend.common import clock
from backend.insights import panel, spark, words
from backend.insights.attention import Level
from backend.insights.panel import Row
from backend.web import reminder_rows
from backend.web.pages import ConsolePage

_GROUPS = ((Level.NOW, "Now"), (Level.TODAY, "Today"), (Level.WATCH, "Keep an eye on"), (Level.STEADY, "Steady"))

# Red is kept for open safety alerts; a reason is amber, a visit is blue, steady is green.
TONES = {"soon": "plain", "move_asked": "plain", "steady": "calm"}


def _codes(row: Row) -> set[str]:
    return {reason.code for reason in row.standing.reasons}


# name of the filter in the address: its words, and whom it keeps
FILTERS: dict[str, tuple[str, Callable[[Row], bool]]] = {
    "all": ("All", lambda row: True),
    "needed": ("Needs me", lambda row: row.standing.level in {Level.NOW, Level.TODAY}),
    "risk": ("High-risk weeks, day 10 to 60", lambda row: row.standing.in_risk_weeks),
    "silent": ("Silent", lambda row: bool(row.standing.silent_days)),
    "lower": ("Mood lower", lambda row: "mood_lower" in _codes(row)),
    "soon": ("Visit in 48 h", lambda row: "soon" in _codes(row)),
}


class Panel(ConsolePage):
    """Everyone in the reader's care. `?show=` keeps some of them, `?find=` those of that name."""

    def show(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The page."""
        everyone = panel.rows(
            patients=access.patients_of(self.actor),
            clinic_id=self.actor.here,
            reader=self.actor.person,
            now=self.now,
        )
        chosen = request.GET.get("show", "all")
        chosen = chosen if chosen in FILTERS else "all"
        find = " ".join(request.GET.get("find", "").split())[:100]
        shown = [row for row in everyone if FILTERS[chosen][1](row) and find.casefold() in row.name.casefold()]
        self.actor.shown.update(row.patient for row in shown)
        needed = sum(1 for row in everyone if FILTERS["needed"][1](row))
        filtered = chosen != "all" or bool(find)
        return self.page(
            "web/panel.html",
            {
                "on_panel": True,
                "headline": _headline(needed),
                "summary": _summary(everyone),
                "chips": [_chip(name, everyone, chosen) for name in FILTERS],
                "doubts": self._doubts(),
                "find": find,
                "filtered": filtered,
                "groups": self._groups(shown, open_all=filtered),
            },
        )

    def _doubts(self) -> str:
        """How many messages were handed over and never confirmed, in words; nothing for none."""
        count = reminder_rows.doubtful(access.patients_of(self.actor), clinic_id=self.actor.here).count()
        return words.counted(count, "reminder was", "reminders were") if count else ""

    def _groups(self, shown: Sequence[Row], *, open_all: bool) -> list[dict[str, Any]]:
        groups = []
        for level, name in _GROUPS:
            people = [self._row(row) for row in shown if row.standing.level is level]
            if people:
                folded = level is Level.STEADY and not open_all and len(people) < len(shown)
                groups.append({"code": level.value, "name": name, "people": people, "folded": folded})
        return groups

    def _row(self, row: Row) -> dict[str, Any]:
        standing, glance = row.standing, row.glance
        reason, *others = standing.reasons
        zone = self.actor.person.time_zone
        last = row.last_at.astimezone(clock.zone(zone)) if row.last_at else None
        today = self.now.astimezone(clock.zone(zone)).date()
        skip = len(glance.means) - spark.SPARK_DAYS
        return {
            "href": reverse("patient-page", args=[row.patient]),
            "name": row.name,
            "about": f"{row.route}, {words.counted(row.sessions_held, 'session')}" if row.route else "Before treatment",
            "icon": reason.code,
            "tone": TONES.get(reason.code, "watch"),
            "reason": reason.text,
            "detail": "; ".join(other.text for other in others) if others else reason.detail,
            "spark": _picture(row, skip) if any(mean is not None for mean in glance.means_7d[skip:]) else "",
            "since_days": standing.since_session_days,
            "since": words.counted(standing.since_session_days or 0, "day"),
            "track": mark_safe(spark.since(standing.since_session_days or 0)),  # noqa: S308  our own drawing
            "mood": "" if standing.mood is None else words.one_decimal(standing.mood),
            "change": _change(standing.mood, standing.before),
            "last": "" if last is None else f"{last:%H:%M}" if last.date() == today else words.short(last.date()),
            "last_ago": "" if last is None else words.ago(last.date(), today=today),
        }


def _picture(row: Row, skip: int) -> str:
    glance = row.glance
    return mark_safe(  # noqa: S308  our own drawing, of numbers only
        spark.mood(
            means_7d=glance.means_7d[skip:],
            answered=[count > 0 for count in glance.answers[skip:]],
            sessions={day - skip for day in glance.session_days if day >= skip},
            silent_now=row.standing.silent_days > 0,
        )
    )


def _change(mood: float | None, before: float | None) -> str:
    """up 1.2, down 0.4, same; against the four weeks before."""
    if mood is None or before is None:
        return ""
    change = round(mood, 1) - round(before, 1)
    if abs(change) < 0.25:
        return "same"
    return f"{'up' if change > 0 else 'down'} {words.one_decimal(abs(change))}"


def _headline(needed: int) -> str:
    if not needed:
        return "Nobody needs you right now"
    return f"{words.counted(needed, 'person needs', 'people need')} you today"


def _summary(everyone: Sequence[Row]) -> str:
    """38 in your care. 17 in the high-risk weeks, day 10 to 60 after a session."""
    at_risk = sum(1 for row in everyone if row.standing.in_risk_weeks)
    said = f"{len(everyone)} in your care."
    return said + (f" {at_risk} in the high-risk weeks after a session." if at_risk else "")


def _chip(name: str, everyone: Sequence[Row], chosen: str) -> dict[str, Any]:
    label, keeps = FILTERS[name]
    return {
        "name": label,
        "count": sum(1 for row in everyone if keeps(row)),
        "href": reverse("panel") + ("" if name == "all" else f"?{urlencode({'show': name})}"),
        "on": name == chosen,
    }
