"""Dates, figures and stretches of time in plain English, the same on the page, in the picture and in its description.

Pure. Names of days and months are written out here, since `strftime` follows the machine's locale.
"""

from collections.abc import Sequence
from datetime import date, datetime

from backend.common import clock

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def short(day: date) -> str:
    """24 Nov"""
    return f"{day.day} {_MONTHS[day.month - 1]}"


def dated(day: date) -> str:
    """Tue 24 Nov"""
    return f"{WEEKDAYS[day.weekday()]} {short(day)}"


def full(day: date) -> str:
    """24 Nov 2026"""
    return f"{short(day)} {day.year}"


def month(day: date) -> str:
    """Nov"""
    return _MONTHS[day.month - 1]


def near(day: date, *, today: date) -> str:
    """today, yesterday, tomorrow, a weekday's name within the week, else Tue 24 Nov."""
    away = (day - today).days
    if away in (-1, 0, 1):
        return ("yesterday", "today", "tomorrow")[away + 1]
    if -7 < away < 7:
        return _LONG_DAYS[day.weekday()]
    return dated(day) if day.year == today.year else full(day)


def ago(day: date, *, today: date) -> str:
    """today, yesterday, 4 days ago"""
    days = (today - day).days
    return near(day, today=today) if days <= 1 else f"{days} days ago"


def counted(count: int, one: str, many: str | None = None) -> str:
    """1 day, 2 days"""
    return f"{count} {one if count == 1 else many or one + 's'}"


def spelled(count: int) -> str:
    """three, twelve, 13"""
    return _SMALL[count] if 0 <= count < len(_SMALL) else str(count)


def listed(things: Sequence[str]) -> str:
    """a, b and c"""
    return things[0] if len(things) == 1 else f"{', '.join(things[:-1])} and {things[-1]}" if things else ""


def one_decimal(value: float) -> str:
    """6.4"""
    return f"{value:.1f}"


def hours(minutes: float) -> str:
    """5.1 h"""
    return f"{minutes / 60:.1f} h"


def dose(milligrams: float) -> str:
    """40, 37.5"""
    return f"{milligrams:g}"


def substance(code: str) -> str:
    """The code of a substance as words: Ketamine outside treatment"""
    return code.replace("_", " ").capitalize()


def length(days: int) -> str:
    """The heading of a range: Four weeks, Twelve weeks, One year, 90 days."""
    if days in (365, 366):
        return "One year"
    if days % 7 == 0 and days // 7 <= 12:
        weeks = days // 7
        return "One week" if weeks == 1 else f"{spelled(weeks).capitalize()} weeks"
    return counted(days, "day")


_VISITS = {"session": "Session", "follow_up": "Follow-up", "therapy": "Therapy", "treatment": "Treatment"}


def visit(kind: str) -> str:
    """The kind of an appointment as words: Follow-up"""
    return _VISITS.get(kind, "Appointment")


def route(code: str) -> str:
    """How ketamine was given, short: IV, nasal, IM, oral"""
    return {"iv": "IV", "intranasal": "nasal", "intramuscular": "IM"}.get(code, code)


def wall_time(at: datetime, *, zone: str) -> str:
    """18:33"""
    return at.astimezone(clock.zone(zone)).strftime("%H:%M")


def moment(at: datetime, *, now: datetime, zone: str) -> str:
    """tomorrow 09:30, Tue 24 Nov 09:30"""
    local, today = at.astimezone(clock.zone(zone)), now.astimezone(clock.zone(zone)).date()
    day = near(local.date(), today=today) if abs((local.date() - today).days) <= 1 else dated(local.date())
    return f"{day} {local:%H:%M}"


def offset(at: datetime, *, zone: str) -> str:
    """UTC+05:30"""
    written = at.astimezone(clock.zone(zone)).strftime("%z")
    return f"UTC{written[:3]}:{written[3:5]}"


def place(zone: str) -> str:
    """The city that names a zone: Kolkata, New York"""
    return zone.rsplit("/", 1)[-1].replace("_", " ")
