"""Rings for a worker: one message that carries nothing. A broker that is away costs a moment and never an error."""

import threading
import time
from functools import partial

import structlog
from celery import current_app
from django.db import transaction

log = structlog.get_logger(__name__)

# After a failure nobody rings for so long, so that a broker that hangs does not hold up each transaction.
_REST_SECONDS = 10.0
_EXPIRES_SECONDS = 10
_silent_until = 0.0
_lock = threading.Lock()
_ringing = threading.Lock()


def ring_after_commit(using: str, *, urgent: bool = False) -> None:
    """Rings once the present transaction of this connection has committed."""
    transaction.on_commit(partial(ring, urgent=urgent), using=using, robust=True)


def ring(*, urgent: bool = False) -> bool:
    """Wakes a worker, with `urgent` the one that is kept for what is about safety.

    False when the broker is away; beat's sweep delivers then.
    """
    global _silent_until
    if time.monotonic() < _silent_until:
        return False
    try:
        task = "reminders.tick_safety" if urgent else "reminders.deliver"
        current_app.send_task(task, expires=_EXPIRES_SECONDS, retry=False, ignore_result=True)
    except Exception as error:  # each broker's client raises classes of its own
        with _lock:
            _silent_until = time.monotonic() + _REST_SECONDS
        log.warning("nobody heard the doorbell", error=type(error).__name__)
        return False
    return True


def ring_aside(times: int) -> None:
    """Wakes so many workers from a thread of its own: whoever rings waits for no broker. One at a time rings."""
    if _ringing.acquire(blocking=False):
        threading.Thread(target=_ring_and_end, args=(times,), name="doorbell", daemon=True).start()


def _ring_and_end(times: int) -> None:
    try:
        for _ in range(times):
            ring()
    finally:
        _ringing.release()


def forget_silence() -> None:
    """Rings again at once, whatever happened before."""
    global _silent_until
    _silent_until = 0.0
