"""Addresses that take nothing any more: they are let go, and their person is told elsewhere, once for each.

A phone whose push service says 410 loses its `push`; a mailbox or number that does not exist is kept as a fingerprint.
The person is told by a reminder of its own when a channel has nothing left; one phone of two is no news.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
import structlog

from backend.accounts import access, consents
from backend.accounts.models import Device, Person
from backend.reminders import channels, planning
from backend.reminders.channels.base import Address, fingerprint
from backend.reminders.codes import Channel, Purpose
from backend.reminders.models import BlockedAddress

log = structlog.get_logger(__name__)

# The reminder about an address is about this, by the row's id.
ABOUT = "blocked_address"
# What is due in the very moment of its planning counts as missed.
_SOON = timedelta(seconds=1)


class Dead(NamedTuple):
    """What a hand-over learned: this part of this person's address is dead."""

    person_id: uuid.UUID
    clinic_id: uuid.UUID | None
    channel: str
    address: Address
    why: str


def let_go(found: Iterable[Dead], *, now: datetime) -> int:
    """Writes down dead addresses, each in its person's own transaction, after what became of the delivery was written.

    The number of addresses that are new. An error costs that one note: the next attempt there learns the same.
    """
    count = 0
    for dead in found:
        try:
            with access.acting_as(dead.person_id, dead.clinic_id, "let an address go"):
                count += _let_go(dead, now)
        except Exception:  # whatever it is, the reminders of the others go on
            log.exception("dead address could not be written down", channel=dead.channel)
    return count


def _let_go(dead: Dead, now: datetime) -> int:
    fresh = []
    if dead.address.line:
        fresh.append(_block(dead, dead.address.line, now))
    for target in dead.address.devices:
        # Only what was sent to: by now the phone may have told a new one.
        if Device.objects.filter(id=target.device_id, person_id=dead.person_id, push=target.push).update(push=None):
            fresh.append(_block(dead, line_of(target.push), now))
    rows = [row for row in fresh if row is not None]
    left = Device.objects.filter(person_id=dead.person_id, push__isnull=False).exists()
    if rows and not (dead.channel == Channel.PUSH and left):
        _tell(dead, rows[-1], now)
    return len(rows)


def line_of(push: object) -> str:
    """A device's push as one line, for its fingerprint."""
    return orjson.dumps(push, option=orjson.OPT_SORT_KEYS).decode()


def _block(dead: Dead, line: str, now: datetime) -> BlockedAddress | None:
    """The row, None where it was there already."""
    row, is_new = BlockedAddress.objects.get_or_create(
        person_id=dead.person_id,
        channel=dead.channel,
        fingerprint=fingerprint(dead.channel, line),
        defaults={"why": dead.why[:200], "blocked_at": now},
    )
    return row if is_new else None


def _tell(dead: Dead, row: BlockedAddress, now: datetime) -> None:
    """Through the channels that are left, and in the inbox: the dead one is passed over when its turn comes."""
    planning.set_anchor(
        person=Person.objects.get(id=dead.person_id),
        purpose=Purpose.ADDRESS,
        about=(ABOUT, row.id),
        anchor_at=now + _SOON,
        offsets=[{}],
        clinic_id=dead.clinic_id,
        now=now,
    )


def states(person: Person, *, clinic_id: uuid.UUID | None, now: datetime) -> list[dict[str, Any]]:
    """For each outward channel whether messages reach the person there now, and if not, why and since when."""
    devices = list(Device.objects.filter(person=person, push__isnull=False))
    blocked = list(BlockedAddress.objects.filter(person=person).order_by("-blocked_at"))
    agreed = consents.agreed_to(person, list(channels.OUTWARD), clinic_id=clinic_id, now=now)
    return [
        {"channel": name, **_state(name, person, devices, blocked, is_agreed=name in agreed)}
        for name in channels.OUTWARD
    ]


def _state(
    name: str, person: Person, devices: list[Device], blocked: list[BlockedAddress], *, is_agreed: bool
) -> dict[str, Any]:
    channel, marks = channels.OUTWARD[name], {row.fingerprint for row in blocked}
    if not channel.is_set_up():
        return {"state": "missing", "since": None}
    if channel.address_of(person, devices, marks) is not None:
        return {"state": "ok" if is_agreed else "no_consent", "since": None}
    # Of a phone nothing is left but that it was there; of the others the address that is blocked.
    line = {Channel.EMAIL: person.email, Channel.SMS: person.phone}.get(Channel(name))
    mine = [
        row for row in blocked if row.channel == name and (line is None or row.fingerprint == fingerprint(name, line))
    ]
    return {"state": "blocked" if mine else "missing", "since": mine[0].blocked_at if mine else None}
