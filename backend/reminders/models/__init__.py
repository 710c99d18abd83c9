"""Three tables: `Rule` (what, when, for whom), `Reminder` (the ledger), `Delivery` (each attempt to reach someone).

Beside them: `Escalation` (a chain that repeats until someone answers), `Silence` (who stopped answering) and
`BlockedAddress` (where nothing arrives any more).

A rule carries all that the dispatcher needs, for the dispatcher sees no other table: the zone, the quiet hours and the
channels of its person are copied onto it, and `planning.replan` renews them when the person changes them.
"""

from backend.reminders.codes import (
    OPEN,
    WITHDRAWN,
    Channel,
    DeliveryStatus,
    Purpose,
    Reason,
    ReminderClass,
    Status,
)
from backend.reminders.models.ledger import Delivery, Reminder, Rule, WallTimeField
from backend.reminders.models.machinery import Tally, ZoneData
from backend.reminders.models.phones import PhoneCode
from backend.reminders.models.standing import BlockedAddress, Escalation, Heartbeat, Silence

__all__ = [
    "OPEN",
    "WITHDRAWN",
    "BlockedAddress",
    "Channel",
    "Delivery",
    "DeliveryStatus",
    "Escalation",
    "Heartbeat",
    "PhoneCode",
    "Purpose",
    "Reason",
    "Reminder",
    "ReminderClass",
    "Rule",
    "Silence",
    "Status",
    "Tally",
    "WallTimeField",
    "ZoneData",
]
