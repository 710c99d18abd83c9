"""The room's background work. Messages carry nothing: what is to be done stands in the database."""

from typing import Any

from celery import shared_task

from backend.common import clock
from backend.interop import retention, work


@shared_task(name="interop.work", soft_time_limit=3_000, time_limit=3_100)
def do_work(**kwargs: Any) -> None:
    """The doorbell and the sweep: exports and erasures."""
    work.round(now=clock.now())


@shared_task(name="interop.retain", soft_time_limit=3_000, time_limit=3_100)
def retain(**kwargs: Any) -> None:
    """Each day: what the clinics' retention rules no longer keep."""
    retention.run(now=clock.now())
