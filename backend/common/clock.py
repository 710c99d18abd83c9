"""The only reader of the clock and of the zone database; every other room takes `now` or `at` as an argument."""

import zoneinfo
from datetime import UTC, datetime
from functools import cache
from importlib import metadata

import tzdata

# Three zone databases on one machine disagree (the system's, pip's, PostgreSQL's), so one is chosen: `tzdata`.
zoneinfo.reset_tzpath(to=())

ZONE_DATA_VERSION = metadata.version("tzdata")
# The zone database's own name for its version, like 2025b: several packages may carry the same.
ZONE_DATABASE: str = tzdata.IANA_VERSION

# Names in the zone database that are no place where a person lives.
_NOT_PLACES = frozenset({"Factory", "localtime", "posixrules"})


class UnknownZone(ValueError):
    """The name is not in the IANA zone database."""


def now() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC)


@cache
def zone_names() -> frozenset[str]:
    """Every IANA name that a person's zone may have."""
    return frozenset(zoneinfo.available_timezones() - _NOT_PLACES)


@cache
def zone(name: str) -> zoneinfo.ZoneInfo:
    """The zone with this IANA name, from the pinned `tzdata`. Raises UnknownZone."""
    if name not in zone_names():
        raise UnknownZone(f"{name!r} is not an IANA time zone; an example is 'Asia/Kolkata'.")
    return zoneinfo.ZoneInfo(name)
