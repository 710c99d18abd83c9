"""What a mood check-in changes beside its own row: the day's reminder is done, even when the phone was offline."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any

from backend.accounts.models import Person
from backend.common import clock
from backend.reminders import planning
from backend.reminders.models import Purpose


def settle(patient: Person, rows: Sequence[dict[str, Any]], received_at: datetime) -> None:
    """Settles the check-in reminder of each day, in the patient's zone, on which something was felt.

    A phone whose clock runs ahead speaks of tomorrow just before midnight; it means today.
    """
    zone = clock.zone(patient.time_zone)
    today = received_at.astimezone(zone).date()
    days = {min(row["felt_at"].astimezone(zone).date(), today) for row in rows if row["deleted_at"] is None}
    for day in sorted(days):
        planning.settle(
            person_id=patient.id,
            purpose=Purpose.CHECK_IN,
            from_at=datetime.combine(day, time(), zone),
            until_at=datetime.combine(day + timedelta(days=1), time(), zone),
            reason="already_logged",
            now=received_at,
        )
