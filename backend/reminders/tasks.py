"""The room's background work. Messages carry nothing: what is to be done stands in the database."""

from typing import Any

from celery import shared_task

from backend.common import clock
from backend.reminders import dispatch, silences, watch, zones


@shared_task(name="reminders.tick")
def tick(**kwargs: Any) -> None:
    """Each second: claims what is due and wakes workers."""
    dispatch.tick(now=clock.now())
    watch.beat(part="tick", now=clock.now())


@shared_task(name="reminders.tick_safety")
def tick_safety(**kwargs: Any) -> None:
    """Each second, on a queue and in a worker of its own: claims and sends what is about safety."""
    dispatch.tick_safety(now=clock.now())


@shared_task(name="reminders.deliver")
def deliver(**kwargs: Any) -> None:
    """The doorbell: sends what is pending until nothing is left."""
    dispatch.deliver(now=clock.now())


@shared_task(name="reminders.tell_clinics")
def tell_clinics(**kwargs: Any) -> None:
    """Tells the clinics of patients who have not answered for days."""
    silences.tell(now=clock.now())


@shared_task(name="reminders.renew_zones")
def renew_zones(**kwargs: Any) -> None:
    """Each day: plans anew what a new version of the zone database changes; beat's own thread does it at its start."""
    zones.renew(now=clock.now())
