"""Query parameters: typed, and a fault names the parameter."""

import uuid
from collections.abc import Collection
from datetime import UTC, date, datetime, time

import msgspec
from rest_framework.request import Request

from backend.common import bodies, problems
from backend.common.problems import FieldError


def refuse_unknown(request: Request, known: Collection[str]) -> None:
    """A misspelt filter must not silently show everything."""
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise problems.invalid(
            *(
                FieldError(name[:80], "unknown_parameter", f"There is no parameter {name[:80]!r} here.")
                for name in unknown
            )
        )


def instant(request: Request, name: str) -> datetime | None:
    """An instant with offset, or a date (its midnight in UTC). Raises a 400 problem."""
    given = request.query_params.get(name)
    if given is None:
        return None
    try:
        value = (
            datetime.combine(date.fromisoformat(given), time(), UTC)
            if len(given) == 10
            else msgspec.convert(given.replace(" ", "+"), bodies.Instant)
        )
        # In UTC, since the database takes no offset beyond 16 hours, and ISO 8601 does.
        if bodies.EARLIEST <= value.astimezone(UTC) <= bodies.LATEST:
            return value.astimezone(UTC)
    except (ValueError, OverflowError, msgspec.ValidationError):
        pass
    raise problems.invalid(
        FieldError(name, "invalid", f"{name} must be an instant with offset, such as 2026-11-24T20:15:00Z, or a date.")
    )


def day(request: Request, name: str) -> date | None:
    """A date `YYYY-MM-DD`. Raises a 400 problem."""
    given = request.query_params.get(name)
    if given is None:
        return None
    try:
        value = date.fromisoformat(given)
    except ValueError:
        value = None
    if value is None or len(given) != 10 or not bodies.EARLIEST.date() <= value <= bodies.LATEST.date():
        raise problems.invalid(FieldError(name, "invalid", f"{name} must be a date such as 2026-11-24."))
    return value


def whole_number(request: Request, name: str, *, low: int, high: int) -> int | None:
    """A whole number from `low` to `high`. Raises a 400 problem."""
    given = request.query_params.get(name)
    if given is None:
        return None
    if given.isascii() and given.isdigit() and len(given) <= 19 and low <= int(given) <= high:
        return int(given)
    raise problems.invalid(FieldError(name, "out_of_range", f"{name} must be a whole number from {low} to {high}."))


def identifier(request: Request, name: str) -> uuid.UUID | None:
    """A UUID. Raises a 400 problem."""
    given = request.query_params.get(name)
    if given is None:
        return None
    try:
        return uuid.UUID(given)
    except ValueError:
        raise problems.invalid(FieldError(name, "invalid", f"{name} must be an id (a UUID).")) from None


def choice(request: Request, name: str, choices: Collection[str]) -> str | None:
    """One of the words. Raises a 400 problem."""
    given = request.query_params.get(name)
    if given is None or given in choices:
        return given
    raise problems.invalid(FieldError(name, "invalid_choice", f"{name} must be one of {', '.join(sorted(choices))}."))


def text(request: Request, name: str) -> str | None:
    """Free text that the database can hold. Raises a 400 problem."""
    given = request.query_params.get(name)
    if given is not None and ("\x00" in given or len(given) > 200):
        raise problems.invalid(
            FieldError(name, "invalid", f"{name} holds a character that cannot be stored, or is too long.")
        )
    return given
