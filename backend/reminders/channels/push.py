"""Push: one delivery goes to all of a person's phones and browsers, and is sent when any of them took it.

It honours a key: tag, topic and collapse id are the reminder's own, so a push that comes twice takes the place of the
first on the screen and in the services' queues. Hence 20 may be in hand at once, and what a killed worker had begun is
simply sent again. They leave side by side, for a service on another continent takes a tenth of a second to answer.
"""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial

import requests
from django.conf import settings

from backend.accounts.models import Device, Person
from backend.common import outward
from backend.reminders import answer_tokens
from backend.reminders.channels import fcm, webpush
from backend.reminders.channels.answers import Answer, Kind
from backend.reminders.channels.base import Address, Fate, Letter, Outcome, Parcel, Send, Target
from backend.reminders.channels.lines import Lines
from backend.reminders.codes import Channel as Name
from backend.reminders.codes import ReminderClass

# RFC 8030, 5.3: a `low` push waits for Wi-Fi and power; none of ours may wait so long.
_URGENCY = {ReminderClass.SAFETY: "high", ReminderClass.CARE: "high", ReminderClass.HABIT: "normal"}

# To hosts that clients chose, by whether this machine itself may be among them; and to Google's.
_CHOSEN = {loopback: Lines(partial(outward.session, loopback=loopback)) for loopback in (False, True)}
_GOOGLE = Lines(requests.Session)


class Push:
    """Web Push and Firebase Cloud Messaging."""

    name: str = Name.PUSH
    is_brief = True
    at_once = threads = 20
    honours_key = True

    def is_set_up(self) -> bool:
        """With a VAPID key for browsers, or a service account for native apps."""
        return bool(settings.VAPID_PRIVATE_KEY or settings.FCM_SERVICE_ACCOUNT)

    def address_of(self, person: Person, devices: Sequence[Device], blocked: Collection[str]) -> Address | None:
        """The person's devices that take pushes of a kind that is set up; a dead one has none any more."""
        targets = tuple(Target(each.id, each.push) for each in devices if each.push and _is_reachable(each.push))
        return Address(devices=targets) if targets else None

    @contextmanager
    def open(self, *, now: datetime, urgent: bool = False) -> Iterator[Send]:
        """Nothing is opened: each thread keeps its connections, and each host has a breaker of its own."""

        def send(parcel: Parcel) -> Outcome:
            letter = parcel.letter
            return _gathered(parcel, lambda target: _to_one(parcel, letter, target))

        yield send


def _is_reachable(push: object) -> bool:
    if not isinstance(push, dict):
        return False
    return bool(settings.FCM_SERVICE_ACCOUNT) if "fcm_token" in push else bool(settings.VAPID_PRIVATE_KEY)


def tag_of(parcel: Parcel) -> str:
    """The same for the same reminder: 32 characters, as many as a Topic may have."""
    return parcel.reminder_id.hex


def _to_one(parcel: Parcel, letter: Letter, target: Target) -> Answer:
    urgent = parcel.reminder_class == ReminderClass.SAFETY
    data = {
        "tag": tag_of(parcel),
        "reminder": str(parcel.reminder_id),
        "path": f"/reminders/{parcel.reminder_id}",
        "class": parcel.reminder_class.value,
        "token": answer_tokens.issue(
            person_id=parcel.person_id, reminder_id=parcel.reminder_id, device_id=target.device_id
        ),
    }
    title, body = letter.subject, letter.text
    if token := target.push.get("fcm_token"):
        message = fcm.message(
            token=token, title=title, body=body, data=data, tag=tag_of(parcel), until_at=parcel.until_at,
            now=parcel.now, urgent=_URGENCY[parcel.reminder_class] == "high",
        )  # fmt: skip
        return fcm.post(_GOOGLE.session(), message, now=parcel.now, urgent=urgent)
    payload = json.dumps({"title": title, "body": body, **data}, ensure_ascii=False, separators=(",", ":"))
    return webpush.post(
        _CHOSEN[settings.PUSH_TO_LOOPBACK].session(),
        target.push,
        payload.encode(),
        topic=tag_of(parcel),
        lives=parcel.until_at - parcel.now,
        urgency=_URGENCY[parcel.reminder_class],
        now=parcel.now,
        urgent=urgent,
    )


def _gathered(parcel: Parcel, to_one: Callable[[Target], Answer]) -> Outcome:
    """One outcome of all devices: taken by any, else to be tried again for any, else refused."""
    answers = [(target, to_one(target)) for target in parcel.address.devices]
    gone = tuple(target for target, answer in answers if answer.kind is Kind.DEAD)
    dead = Address(devices=gone) if gone else None
    kinds = {answer.kind for _, answer in answers}
    detail = ", ".join(dict.fromkeys(answer.detail for _, answer in answers if answer.detail))
    if Kind.TAKEN in kinds:
        return Outcome(Fate.SENT, detail, dead=dead)
    if Kind.LATER in kinds:
        waits = [answer.wait for _, answer in answers if answer.kind is Kind.LATER]
        asked = [wait for wait in waits if wait is not None]
        return Outcome(Fate.LATER, detail, wait=min(asked) if len(asked) == len(waits) else None, dead=dead)
    return Outcome(Fate.REFUSED, detail, dead=dead)
