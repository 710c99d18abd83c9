"""Every address of the URL configuration, with made-up values in its places."""

import re
import uuid
from collections.abc import Iterator, Mapping

from django.urls import URLPattern, URLResolver, get_resolver

_PLACE = re.compile(r"<(?:(?P<kind>[a-z]+):)?(?P<name>[a-z_]+)>")
_SAMPLES = {"uuid": str(uuid.UUID(int=7)), "int": "7", "str": "x", "slug": "x", "path": "x"}


def routes() -> list[str]:
    """All routes as they stand in the configuration, such as `/api/v1/patients/<uuid:id>`."""
    return sorted({f"/{route}" for route in _walk(get_resolver().url_patterns, "")})


def filled(route: str, values: Mapping[str, str] | None = None) -> str:
    """The route as an address: `values` by name, else something of the right kind."""
    return _PLACE.sub(lambda found: (values or {}).get(found["name"], _SAMPLES[found["kind"] or "str"]), route)


def _walk(patterns: list[URLPattern | URLResolver], before: str) -> Iterator[str]:
    for pattern in patterns:
        route = before + str(pattern.pattern).removeprefix("^").removesuffix("$")
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        else:
            yield route
