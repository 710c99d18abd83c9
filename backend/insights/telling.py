"""What happened, in plain words: one line for each entry of a timeline, the same for patient and care team. Pure."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from backend.insights import words

UNREADABLE = "There is a note that cannot be read; the server's log says why."

Facts = Mapping[str, Any]

_SEVERITY = {1: "mild", 2: "moderate", 3: "severe"}
_VISITS = {"cancelled": "cancelled", "no_show": "missed", "move_asked": "asked to move"}
_EFFECTS = {"urinary": "pain or frequency when urinating", "memory": "memory trouble", "other": "another side effect"}


def session(facts: Facts) -> tuple[str, str | None]:
    """Session, 40 mg IV"""
    status = facts["status"]
    if status == "cancelled":
        return "Session cancelled", None
    if status == "planned" and facts["began"] is None:
        return "Session planned, not started", None
    given = " ".join(
        [*([f"{words.dose(facts['dose_mg'])} mg"] if facts["dose_mg"] else []), words.route(facts["route"])]
    )
    title = f"Session under way, {given}" if status == "running" else f"Session, {given}"
    return title, None if facts["minutes"] is None else f"Took {lasted(facts['minutes'])}"


def appointment(facts: Facts) -> tuple[str, str | None]:
    """Therapy, missed"""
    said = _VISITS.get(facts["status"])
    return words.visit(facts["kind"]) + (f", {said}" if said else ""), facts["place"] or None


def check_in(facts: Facts) -> tuple[str, str | None]:
    """Check-in, mood 2"""
    return f"Check-in, mood {facts['mood']}", None


def side_effect(facts: Facts) -> tuple[str, str | None]:
    """Dizziness, mild, for 20 min"""
    name = _EFFECTS.get(facts["kind"], facts["kind"].replace("_", " ")).capitalize()
    end = "no end noted" if facts["minutes"] is None else f"for {lasted(facts['minutes'])}"
    return f"{name}, {_SEVERITY[facts['severity']]}, {end}", None


def substance_use(facts: Facts) -> tuple[str, str | None]:
    """Logged use of alcohol, 2 glasses"""
    what = "something not on the list" if facts["substance"] == "other" else words.substance(facts["substance"]).lower()
    amount = f"{facts['amount']:g} {facts['unit']}".strip() if facts["amount"] is not None else ""
    return f"Logged use of {what}" + (f", {amount}" if amount else ""), None


def zone_change(facts: Facts) -> tuple[str, str | None]:
    """Time zone is now London"""
    return f"Time zone is now {words.place(facts['zone'])}", facts["zone"]


def annotation(*, author: str, since_on: date | None, until_on: date | None, private: bool) -> str:
    """Annotation by Nurse P. on 3 Nov to 9 Nov, for the care team only"""
    days = ""
    if since_on is not None and until_on is not None:
        last = until_on - timedelta(days=1)
        days = f" on {words.short(since_on)}" + (f" to {words.short(last)}" if last != since_on else "")
    return f"Annotation by {author}{days}" + (", for the care team only" if private else "")


def lasted(minutes: int) -> str:
    """20 min, 3 h, 2 days"""
    if minutes < 120:
        return f"{minutes} min"
    return f"{round(minutes / 60)} h" if minutes < 48 * 60 else words.counted(round(minutes / 1440), "day")
