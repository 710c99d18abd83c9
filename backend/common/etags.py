"""Versions as entity tags (RFC 9110): `"3"` is the third version."""

import re

from rest_framework.request import Request

from backend.common import problems
from backend.common.problems import FieldError

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
