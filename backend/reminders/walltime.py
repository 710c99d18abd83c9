"""Where wall time becomes an instant: clock changes, the day before, quiet hours. Pure; the zone is an argument.

A local time that a clock change skips moves forward by the length of the gap (RFC 5545: 02:30 becomes 03:30); one that
happens twice means the first. Instants are aware datetimes in UTC, wall times are naive datetimes.
"""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


def instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant at which clocks in `zone` show `local` (naive)."""
    if local.tzinfo is not None:
        raise ValueError("A wall time has no offset.")
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def wall(at: datetime, zone: ZoneInfo) -> datetime:
    """What clocks in `zone` show at the instant `at`, as a naive datetime."""
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def before(anchor_at: datetime, *, days: int = 0, minutes: int = 0, zone: ZoneInfo) -> datetime:
    """The instant `days` of the calendar (same wall time) and then `minutes` of elapsed time before an anchor.

    The day before an appointment at 09:00 is 09:00, also across a clock change; two hours before it are 120 minutes.
    """
    at = anchor_at.astimezone(UTC)
    if days:
        at = instant(wall(at, zone) - timedelta(days=days), zone)
    return at - timedelta(minutes=minutes)


def quiet_span(
    at: datetime, *, quiet_from: time | None, quiet_until: time | None, zone: ZoneInfo
) -> tuple[datetime, datetime] | None:
    """The quiet hours that contain `at`, as a half-open pair of instants, or None when it is not quiet then.

    Quiet hours may cross midnight (22:00 to 07:00). None, or two equal times, mean none at all.
    """
    if quiet_from is None or quiet_until is None or quiet_from == quiet_until:
        return None
    today = wall(at, zone).date()
    for day in (today - timedelta(days=1), today):
        end_day = day if quiet_from < quiet_until else day + timedelta(days=1)
        start_at = instant(datetime.combine(day, quiet_from), zone)
        end_at = instant(datetime.combine(end_day, quiet_until), zone)
        if start_at <= at < end_at:
            return start_at, end_at
    return None


def out_of_quiet(
    at: datetime, *, quiet_from: time | None, quiet_until: time | None, zone: ZoneInfo, earlier: bool = False
) -> datetime:
    """`at`, or when that is quiet: the end of the quiet hours, or with `earlier` their start, the evening before."""
    span = quiet_span(at, quiet_from=quiet_from, quiet_until=quiet_until, zone=zone)
    if span is None:
        return at
    return span[0] if earlier else span[1]
