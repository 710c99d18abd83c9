"""Pages of a list by cursor: page 2,000 costs what page 1 costs, and nothing is shown twice or left out between two."""

import base64
import binascii
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db import DataError, models
from django.db.models import Q, QuerySet
from rest_framework.request import Request

from backend.common import problems, queries
from backend.common.problems import FieldError

DEFAULT_LIMIT = 50
MAX_LIMIT = 500


def page(queryset: QuerySet[Any], *, request: Request, ordering: tuple[str, str]) -> dict[str, Any]:
    """`{"results", "next", "previous"}` of the queryset (of dicts or models), ordered by a column and then by the id.

    A cursor names the row at which the page begins or ends, not a count of rows, so what comes or goes in between moves
    nothing. Raises a 400 problem for a limit or cursor that is not ours.
    """
    limit = limit_of(request)
    column, descending = ordering[0].lstrip("-"), ordering[0].startswith("-")
    backwards, position = _position(request, queryset.model, column)
    falling = descending != backwards
    rows = queryset.order_by(*(f"{'-' if falling else ''}{name}" for name in (column, "id")))
    if position is not None:
        value, id = position
        word = "lt" if falling else "gt"
        beyond = Q(**{f"{column}__{word}": value}) | Q(**{column: value, f"id__{word}": id})
        # The first condition says nothing new; it lets the index begin where the page does.
        rows = rows.filter(Q(**{f"{column}__{word}e": value}), beyond)
    try:
        found = list(rows[: limit + 1])
    except (DataError, ValidationError, ValueError, OverflowError):
        raise not_ours() from None
    more, results = len(found) > limit, found[:limit]
    if backwards:
        results.reverse()
    ahead, behind = (position is not None, more) if backwards else (more, position is not None)
    return {
        "results": results,
        "next": _link(request, results[-1:], column, backwards=False) if ahead else None,
        "previous": _link(request, results[:1], column, backwards=True) if behind else None,
    }


def limit_of(request: Request) -> int:
    """How many results the request wants on a page. Raises a 400 problem."""
    limit = queries.whole_number(request, "limit", low=1, high=MAX_LIMIT)
    return DEFAULT_LIMIT if limit is None else limit


def _link(request: Request, edge: Sequence[Any], column: str, *, backwards: bool) -> str | None:
    if not edge:
        return None
    row = edge[0]
    value, id = (row[column], row["id"]) if isinstance(row, dict) else (getattr(row, column), row.id)
    text = value.isoformat() if isinstance(value, date) else str(value)
    return link(request, f"{'b' if backwards else 'f'} {id} {text}")


def link(request: Request, token: str) -> str:
    """The address of the page that begins or ends where the token says."""
    cursor = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    others = [(name, value) for name, value in request.query_params.items() if name != "cursor"]
    return request.build_absolute_uri(f"{request.path}?{urlencode([*others, ('cursor', cursor)])}")


def _position(request: Request, model: type[models.Model], column: str) -> tuple[bool, tuple[Any, uuid.UUID] | None]:
    """Whether the page is read backwards, and the row before which or after which it lies."""
    token = token_of(request)
    if token is None:
        return False, None
    try:
        way, id, text = token.split(" ", 2)
        if way not in {"f", "b"}:
            raise ValueError(way)
        field = model._meta.get_field(column)
        assert isinstance(field, models.Field)  # noqa: S101 - lists are ordered by columns
        value = field.to_python(text)
        if isinstance(value, datetime):
            value = value.astimezone(UTC)
        return way == "b", (value, uuid.UUID(id))
    except (ValidationError, ValueError, OverflowError):
        raise not_ours() from None


def token_of(request: Request) -> str | None:
    """The token in the request's cursor; whoever reads it trusts no part of it. Raises a 400 problem."""
    given = request.query_params.get("cursor")
    if given is None:
        return None
    try:
        padded = given + "=" * (-len(given) % 4)
        token = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise not_ours() from None
    if "\x00" in token:
        raise not_ours()
    return token


def not_ours() -> problems.Problem:
    """400: the cursor was not made here."""
    return problems.invalid(
        FieldError("cursor", "invalid", "This cursor is not one of ours; follow `next` or start without it.")
    )
