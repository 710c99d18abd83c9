"""The engine: `tick` in a worker each second, `sweep` in beat's own thread, `deliver` when the doorbell rings.

What is about safety has a tick, a queue and a worker of its own (`tick_safety`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.db import connections

from backend.accounts import access
from backend.reminders import chains, claiming, delivering, doorbell, figures, leases, nudging
from backend.reminders.codes import BY_URGENCY, ReminderClass

log = structlog.get_logger(__name__)

# How long a pending delivery waits for a worker before the sweep sends it itself.
PATIENCE = {
    ReminderClass.SAFETY: timedelta(seconds=2),
    ReminderClass.CARE: timedelta(seconds=30),
    ReminderClass.HABIT: timedelta(seconds=30),
}
URGENT = (ReminderClass.SAFETY,)
# So many are woken while a claim goes on; who finds nothing to do goes back to sleep.
WORKERS = 2
_SWEEP_SECONDS = 10.0
# A worker then takes its next message, so that claims are not kept waiting by a long backlog.
_SHIFT_SECONDS = 5.0
_NUMBERED_AT_ONCE = 5_000

_PENDING = """
SELECT count(*) FROM (SELECT FROM reminders_delivery WHERE status = 'pending' AND try_at <= %s LIMIT %s) AS waiting
"""


def tick(*, now: datetime) -> int:
    """Claims what is due, takes back what was left lying, and rings for workers; the number of rows claimed."""
    claimed = _keep_the_ledger(now)
    _ring(now)
    return claimed


def tick_safety(*, now: datetime) -> int:
    """Claims and sends what is about safety and nothing else, in a worker that does only this; the number handed over.

    Whatever the others have to do, it waits for none of them.
    """
    _go_on(now)
    claiming.claim(now=now, classes=URGENT)
    return deliver(now=now, classes=URGENT)


def sweep(*, now: datetime) -> int:
    """The same without waiting for a broker: claims, and itself sends what no worker took in time; the number sent."""
    _keep_the_ledger(now)
    handed = delivering.deliver(now=now, waited=PATIENCE, seconds=_SWEEP_SECONDS)
    if handed:
        number()
        figures.flush()
    return handed


def deliver(*, now: datetime, classes: Sequence[ReminderClass] = BY_URGENCY) -> int:
    """Sends all that is pending and rings again if the time did not suffice; the number handed over."""
    handed = delivering.deliver(now=now, classes=classes, seconds=_SHIFT_SECONDS)
    if handed:
        number()
        figures.flush()
    _ring(now)
    return handed


def _ring(now: datetime) -> None:
    """Wakes as many workers as there is work for."""
    with access.dispatching("look"), connections["dispatch"].cursor() as cursor:
        cursor.execute(_PENDING, [now, delivering.AT_ONCE + 1])
        pending = int(cursor.fetchone()[0])
    for _ in range(-(-pending // delivering.AT_ONCE)):
        doorbell.ring()


def number() -> int:
    """Gives the dispatcher's changes their place in each patient's order of changes; the number of rows.

    A database function does it, for the dispatcher sees no counters; a patient who is just writing comes next time.
    """
    with access.dispatching("number"), connections["dispatch"].cursor() as cursor:
        cursor.execute("SELECT reminders_number_changes(%s)", [_NUMBERED_AT_ONCE])
        return int(cursor.fetchone()[0])


def _keep_the_ledger(now: datetime) -> int:
    _go_on(now)
    claimed = claiming.claim(now=now, told=lambda _: doorbell.ring_aside(WORKERS))
    nudging.nudge(now=now)
    leases.recover(now=now)
    number()
    figures.flush()
    return claimed


def _go_on(now: datetime) -> None:
    """Chains go on before the claim, so that who is told next is told now; what is wrong with them stops nothing."""
    try:
        chains.go_on(now=now)
    except Exception:
        log.exception("chains could not go on")
