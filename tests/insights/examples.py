"""Series made by hand for tests of pictures; no randomness, so that a failure can be read."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from backend.insights.days import day_starts
from backend.insights.series import Answer, Exercise, Marker, Readings, Series, Sleep, build

MUMBAI = [("Asia/Kolkata", datetime(1970, 1, 1, tzinfo=UTC))]
TODAY = date(2026, 11, 24)
LEAD = 6


def series(*, days: int, silent: frozenset[int] | set[int] = frozenset(), sessions: tuple[int, ...] = ()) -> Series:
    """A range that ends with TODAY: one check-in at noon on each day but the silent ones (positions in the range).

    Every answered day has 7 hours of sleep; every third 30 minutes of exercise; every tenth a lapse, the others none.
    """
    until = TODAY + timedelta(days=1)
    since = until - timedelta(days=days)
    starts = day_starts(zones=MUMBAI, since=since - timedelta(days=LEAD), until=until)
    spoken = [at for at in range(days + LEAD) if at - LEAD not in silent]
    return build(
        patient=UUID(int=1),
        time_zone="Asia/Kolkata",
        since=since,
        until=until,
        starts=starts,
        lead_days=LEAD,
        now=starts[-1] - timedelta(hours=2),
        readings=Readings(
            first_at=starts[0] - timedelta(days=400) if spoken else None,
            last_at=starts[spoken[-1]] + timedelta(hours=12) if spoken else None,
            moods={at: (2 + at % 7, 1) for at in spoken},
            answers={at: [Answer(2 + at % 7, at - LEAD in sessions)] for at in spoken},
            near_days=frozenset(at + LEAD for at in sessions),
            sleep={at: Sleep(420, 7) for at in spoken},
            exercise={at: Exercise(30) for at in spoken if at % 3 == 0},
            used={at: ("alcohol",) for at in spoken if at % 10 == 0},
            abstained={at: ("alcohol",) for at in spoken if at % 10},
            sessions=[
                Marker(kind="session", at=until_noon(starts, at + LEAD), dose_mg=40, route="iv") for at in sessions
            ],
        ),
    )


def until_noon(starts: list[datetime], position: int) -> datetime:
    """Ten in the morning of a day; days before the first boundary are counted back from it."""
    if position >= 0:
        return starts[position] + timedelta(hours=10)
    return starts[0] + timedelta(days=position, hours=10)
