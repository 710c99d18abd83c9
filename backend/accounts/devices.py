"""The phones and browsers that a person signs in with: known ones, new ones, and what is told of a new one."""

import re
import uuid
from datetime import datetime, timedelta
from typing import Any

from backend.accounts import outbox
from backend.accounts.models import Device, Person
from backend.common import clock

APP, BROWSER = "app", "browser"
FORGOTTEN_AFTER = timedelta(days=400)  # longer than a browser keeps its name
_NAMES = (
    ("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"),
    ("okhttp", "Android app"), ("CFNetwork", "iPhone app"), ("curl", "curl"), ("python", "Python"),
)  # fmt: skip
_SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
)  # fmt: skip


class IdTaken(ValueError):
    """Another person's device has this id."""


def arrive(
    *, person: Person, id: uuid.UUID | None, platform: str, agent: str, address: str, now: datetime
) -> tuple[Device, bool]:
    """The device of a sign-in, and whether it is new. An id that is another person's counts as none.

    What was not used for over a year is forgotten.
    """
    seen = {"agent": agent[:200], "address": address, "seen_at": now}
    Device.objects.filter(person=person, seen_at__lt=now - FORGOTTEN_AFTER).delete()
    if id is not None and Device.objects.filter(id=id, person=person).update(**seen):
        return Device.objects.get(id=id, person=person), False
    for candidate in (id, uuid.uuid4()):
        if candidate is not None and (made := _add(candidate, person, platform=platform, **seen)):
            return made, True
    raise IdTaken("No free id was found for the device.")  # pragma: no cover - a random id that exists


def put(*, person: Person, id: uuid.UUID, now: datetime, **fields: Any) -> tuple[Device, bool]:
    """Writes what a phone says of itself, and whether it is new. Raises IdTaken."""
    if Device.objects.filter(id=id, person=person).update(seen_at=now, **fields):
        return Device.objects.get(id=id, person=person), False
    made = _add(id, person, seen_at=now, **fields)
    if made is None:
        raise IdTaken("This id belongs to another device; make a new one.")
    return made, True


def succeed(*, person: Person, old: str | None, new: Device) -> None:
    """The session was on `old`, which the server had named itself, and its phone calls itself `new`."""
    if old is None or old == str(new.id):
        return
    before = Device.objects.filter(id=old, person=person, app_version="", push__isnull=True).first()
    if before is not None:
        if not new.agent:
            Device.objects.filter(id=new.id).update(agent=before.agent, address=before.address)
            new.agent, new.address = before.agent, before.address
        before.delete()


def _add(id: uuid.UUID, person: Person, **fields: Any) -> Device | None:
    """A new row, None when the id is taken (by whomever: others' rows cannot be seen)."""
    Device.objects.bulk_create([Device(id=id, person=person, **fields)], ignore_conflicts=True)
    return Device.objects.filter(id=id, person=person).first()


def zone_to_ask_about(device: Device, person: Person) -> str | None:
    """The zone that the phone is in, when it is not the one that the person lives in: the app asks, nothing moves."""
    return device.time_zone if device.time_zone and device.time_zone != person.time_zone else None


def words_for(agent: str, *, known_only: bool = False) -> str:
    """What a program calls itself, for people: 'Firefox on Linux'. `known_only`, for mails: no words of its own."""
    name = next((said for part, said in _NAMES if part.lower() in agent.lower()), "")
    system = next((said for part, said in _SYSTEMS if part in agent), "")
    if name and system:
        return f"{name} on {system}"
    if known_only or name or system:
        return name or system or "An unknown program"
    return re.sub(r"[^\w ./-]", "", agent)[:40].strip() or "An unknown program"


def tell_of_sign_in(*, person: Person, device: Device, now: datetime) -> None:
    """A mail to the person whose account was opened on a device that it was never opened on."""
    local = now.astimezone(clock.zone(person.time_zone))
    outbox.put(
        recipient=person.email,
        subject="A new sign-in",
        text=(
            "Someone signed in to Afterglow with your address, on a device that you had not used before:\n\n"
            f"    {words_for(device.agent, known_only=True)}, from {device.address}\n"
            f"    {local:%d %B %Y, %H:%M} ({person.time_zone})\n\n"
            "If that was you, you need not do anything.\n"
            "If it was not: choose a new password at once, which ends every sign-in, and tell your clinic.\n"
        ),
        now=now,
    )
