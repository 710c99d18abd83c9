"""Versions as entity tags (RFC 9110): `"3"` is the third version."""

import re
from datetime import datetime
from typing import Any

from rest_framework.request import Request

from backend.common import problems
from backend.common.problems import FieldError, Problem

ANY = -1
_TAG = re.compile(r'^(?:W/)?"?(\d{1,9})"?$')


def of(version: int) -> str:
    """The tag of a version."""
    return f'"{version}"'


def if_match(request: Request) -> int | None:
    """The version that the write was made from, None when it does not say, ANY for `*`. Raises a 400 problem."""
    given = request.headers.get("If-Match")
    if given is None:
        return None
    if given.strip() == "*":
        return ANY
    if found := _TAG.match(given.strip()):
        return int(found[1])
    raise problems.invalid(
        FieldError("If-Match", "invalid", 'If-Match is the record\'s version in quotes, such as "3".')
    )


def deleted(what: str, *, version: int, at: datetime | None) -> Problem:
    """410: `what` says in a sentence what became of the record; how to bring it back follows."""
    return Problem(
        status=410,
        code="deleted",
        detail=f'{what} PUT it with If-Match: "{version}" to bring it back.',
        headers={"ETag": of(version)},
        extra={"version": version, "deleted_at": at},
    )


def stale(name: str, *, current: Any) -> Problem:
    """412: the record, called `name`, changed since the version in If-Match; `current` is how it stands now."""
    return Problem(
        status=412,
        code="stale",
        detail=f"{name} has changed since the version in If-Match; merge with `current` and send again.",
        errors=[FieldError("If-Match", "stale", "Not the current version.")],
        extra={"current": current},
    )
