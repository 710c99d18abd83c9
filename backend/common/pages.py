"""Pages of a list: newest first, by cursor, so that page 2,000 costs what page 1 costs."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import QuerySet
from rest_framework import exceptions
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from backend.common import problems
from backend.common.problems import FieldError

DEFAULT_LIMIT = 50
MAX_LIMIT = 500


class Pages(CursorPagination):
    """DRF's cursor pagination, strict about what it is asked."""

    page_size = DEFAULT_LIMIT
    max_page_size = MAX_LIMIT
    page_size_query_param = "limit"

    def get_page_size(self, request: Request) -> int:
        """`?limit=` from 1 to 500. Raises a 400 problem."""
        given = request.query_params.get("limit")
        if given is None:
            return DEFAULT_LIMIT
        if not (given.isascii() and given.isdigit() and 1 <= int(given[:6]) <= MAX_LIMIT and len(given) <= 6):
            raise problems.invalid(
                FieldError("limit", "out_of_range", f"limit must be a number from 1 to {MAX_LIMIT}.")
            )
        return int(given)

    def read(self, queryset: QuerySet[Any], request: Request) -> list[Any]:
        """One page. Raises a 400 problem for a cursor that we did not give out."""
        try:
            return self.paginate_queryset(queryset, request) or []
        except (exceptions.NotFound, DataError, ValidationError, ValueError, TypeError):
            raise problems.invalid(
                FieldError("cursor", "invalid", "This cursor is not one of ours; follow `next` or start without it.")
            ) from None


def page(queryset: QuerySet[Any], *, request: Request, ordering: tuple[str, ...]) -> dict[str, Any]:
    """`{"results", "next", "previous"}` of the queryset (of dicts or models), in this order."""
    pages = Pages()
    pages.ordering = ordering
    results = pages.read(queryset, request)
    return {"results": results, "next": pages.get_next_link(), "previous": pages.get_previous_link()}
