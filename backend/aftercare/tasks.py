"""The room's background work."""

from typing import Any

from celery import shared_task

from backend.aftercare import occurrences
from backend.common import clock


@shared_task(name="aftercare.expand_appointments")
def expand_appointments(**kwargs: Any) -> None:
    """Recurring appointments always have occurrences for the weeks to come."""
    occurrences.expand_all(now=clock.now())
