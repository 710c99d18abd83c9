"""The engine: `tick` in a worker each second, `sweep` in beat's own thread, `deliver` when the doorbell rings."""

from datetime import datetime, timedelta

import structlog
from django.db import connections

from backend.accounts import access
from backend.reminders import chains, claiming, delivering, doorbell, figures, leases, nudging
from backend.reminders.codes import ReminderClass

log = structlog.get_logger(__name__)

# How long a pending delivery waits for a worker before the sweep sends it itself.
PATIENCE = {
    ReminderClass.SAFETY: timedelta(seconds=2),
    ReminderClass.CARE: timedelta(seconds=30),
    ReminderClass.HABIT: timedelta(seconds=30),
}
_SWEEP_SECONDS = 10.0
_NUMBERED_AT_ONCE = 5_000

_CLOSE_SNOOZED = """
UPDATE reminders_reminder SET status = 'expired', reason = 'window_closed', change_number = NULL, updated_at = %(now)s
WHERE id IN (SELECT id FROM reminders_reminder
             WHERE status = 'snoozed' AND send_at IS NULL AND expires_at <= %(now)s
             LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED)
"""

_PENDING = "SELECT EXISTS (SELECT FROM reminders_delivery WHERE status = 'pending' AND try_at <= %s)"


def tick(*, now: datetime) -> int:
    """Claims what is due, takes back what was left lying, and rings for workers; the number of rows claimed."""
    claimed = _keep_the_ledger(now)
    if _pending(now):
        doorbell.ring()
    return claimed


def sweep(*, now: datetime) -> int:
    """The same without a broker: claims, and itself sends what no worker took in time; the number handed over."""
    _keep_the_ledger(now)
    handed = delivering.deliver(now=now, waited=PATIENCE, seconds=_SWEEP_SECONDS)
    if handed:
        number()
        figures.flush()
    return handed


def deliver(*, now: datetime) -> int:
    """Sends all that is pending and rings again if the time did not suffice; the number handed over."""
    handed = delivering.deliver(now=now)
    if handed:
        number()
        figures.flush()
    return handed


def number() -> int:
    """Gives the dispatcher's changes their place in each patient's order of changes; the number of rows.

    A database function does it, for the dispatcher sees no counters; a patient who is just writing comes next time.
    """
    with access.dispatching("number"), connections["dispatch"].cursor() as cursor:
        cursor.execute("SELECT reminders_number_changes(%s)", [_NUMBERED_AT_ONCE])
        return int(cursor.fetchone()[0])


def _keep_the_ledger(now: datetime) -> int:
    _go_on(now)
    claimed = claiming.claim(now=now)
    nudging.nudge(now=now)
    leases.recover(now=now)
    with access.dispatching("expire"), connections["dispatch"].cursor() as cursor:
        cursor.execute(_CLOSE_SNOOZED, {"now": now})
        figures.add("expired", "window_closed", cursor.rowcount)
    number()
    figures.flush()
    return claimed


def _go_on(now: datetime) -> None:
    """Chains go on before the claim, so that who is told next is told now; what is wrong with them stops nothing."""
    try:
        chains.go_on(now=now)
    except Exception:
        log.exception("chains could not go on")


def _pending(now: datetime) -> bool:
    with access.dispatching("look"), connections["dispatch"].cursor() as cursor:
        cursor.execute(_PENDING, [now])
        return bool(cursor.fetchone()[0])
