"""Looks whether all that must never stop goes on, and says so outside only when it does: silence is the alarm."""

import uuid
from datetime import datetime, timedelta

import requests
import structlog
from django.conf import settings
from django.db import connections

from backend.accounts import access, chain
from backend.reminders import watch
from backend.reminders.codes import ReminderClass

log = structlog.get_logger(__name__)

PING_SECONDS = 5.0
# So long after its start nothing is judged: the other parts begin too.
_GRACE = timedelta(seconds=30)
_LATE = {ReminderClass.SAFETY: 10.0, ReminderClass.CARE: 60.0, ReminderClass.HABIT: 60.0}
_CHAIN_LATE = timedelta(seconds=30)

_OLDEST = """
SELECT c.reminder_class,
  extract(epoch FROM %(now)s - least(
    (SELECT min(r.claim_at) FROM reminders_reminder r
     WHERE r.reminder_class = c.reminder_class AND r.claim_at <= %(now)s),
    (SELECT min(d.try_at) FROM reminders_delivery d
     WHERE d.status = 'pending' AND d.reminder_class = c.reminder_class AND d.try_at <= %(now)s)))::float
FROM unnest(%(classes)s::text[]) AS c(reminder_class)
"""

_STUCK = "SELECT count(*) FROM reminders_escalation WHERE next_at < %s"


class Auditor:
    """One for a process; it remembers what it saw at its last round."""

    def __init__(self, *, began_at: datetime) -> None:
        self._began_at = began_at
        self._unsealed: uuid.UUID | None = None

    def round(self, *, now: datetime) -> list[str]:
        """Looks once; what is wrong, in words for the log. Only when nothing is: a heartbeat, and a ping outside."""
        if now - self._began_at < _GRACE:
            return []
        found = self.faults(now=now)
        if found:
            log.error("not all is well, nobody outside is told that it is", faults=found)
            return found
        watch.beat(part="auditor", now=now)
        ping()
        return found

    def faults(self, *, now: datetime) -> list[str]:
        """What is wrong now. Raises DatabaseError when the database does not answer at all."""
        told = watch.readiness(now=now)
        found = [f"{part} is silent" for part in watch.PARTS if not told[part]["well"]]
        with access.dispatching("audit"), connections["dispatch"].cursor() as cursor:
            cursor.execute(_OLDEST, {"now": now, "classes": [each.value for each in _LATE]})
            for reminder_class, seconds in cursor.fetchall():
                if seconds is not None and seconds > _LATE[ReminderClass(reminder_class)]:
                    found.append(f"{reminder_class} waits for {seconds:.0f} s")
            cursor.execute(_STUCK, [now - _CHAIN_LATE])
            (stuck,) = cursor.fetchone()
        if stuck:
            found.append(f"{stuck} chains of people stand still")
        return found + self._seal()

    def _seal(self) -> list[str]:
        """An event that waited at the last round and still does was left lying for a whole round."""
        before, self._unsealed = self._unsealed, chain.waiting_longest()
        return ["the audit chain is not sealed"] if before is not None and before == self._unsealed else []


def ping() -> bool:
    """Tells the watcher outside that all is well; whether it was told. Without HEARTBEAT_URL there is none."""
    if not settings.HEARTBEAT_URL:
        return False
    try:
        with requests.get(settings.HEARTBEAT_URL, timeout=PING_SECONDS, stream=True) as answer:
            answer.raise_for_status()
    except requests.RequestException as error:  # its address may hold a secret, so the log has only the kind
        log.warning("the watcher outside was not reached", error=type(error).__name__)
        return False
    return True
