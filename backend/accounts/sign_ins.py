"""Where a person is signed in now, and ending it: a sign-in that was ended opens nothing from that moment on."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.crypto import salted_hmac

from backend.accounts import audit, devices, lifetimes
from backend.accounts.models import Action, Device, Person, Session


@dataclass(frozen=True, slots=True)
class SignIn:
    """One sign-in that lives: what, where, since when, last used when."""

    id: uuid.UUID
    key: str  # the token itself, for nobody's eyes
    device: Device | None
    what: str
    address: str
    began_at: datetime | None
    seen_at: datetime | None
    ends_at: datetime
    second_factor: bool
    current: bool


def start(*, session: Any, person: Person, device: Device, staff: bool, second_factor: bool, now: datetime) -> None:
    """Writes into the session what is to be known of the sign-in that has just succeeded."""
    session[lifetimes.FACTS] = {
        "began": now.timestamp(),
        "staff": staff,
        "second_factor": second_factor,
        "device": str(device.id),
        "agent": device.agent,
        "address": device.address,
    }
    session.pop("_session_expiry", None)  # what Django or allauth would have it live
    Session.objects.filter(person=person, expire_date__lte=now).delete()


def of(*, person: Person, current: str | None, now: datetime) -> list[SignIn]:
    """The person's sign-ins that live, the latest used first; `current` is the key of the asking one."""
    known = {str(device.id): device for device in Device.objects.filter(person=person)}
    found = list(_read(person, known, current, now))
    return sorted(found, key=lambda one: (one.current, one.seen_at or datetime.min.replace(tzinfo=UTC)), reverse=True)


def _read(person: Person, known: dict[str, Device], current: str | None, now: datetime) -> Iterator[SignIn]:
    for row in Session.objects.filter(person=person, expire_date__gt=now):
        data = row.get_decoded()
        facts = lifetimes.facts_of(data)
        device = known.get(str(facts.get("device")))
        yield SignIn(
            id=id_of(row.session_key),
            key=row.session_key,
            device=device,
            what=devices.words_for(str(facts.get("agent", ""))),
            address=str(facts.get("address", "")),
            began_at=lifetimes.began_at(data),
            seen_at=row.seen_at,
            ends_at=row.expire_date,
            second_factor=bool(facts.get("second_factor")),
            current=row.session_key == current,
        )


def id_of(key: str) -> uuid.UUID:
    """The name of a sign-in in lists; it does not tell the token."""
    return uuid.UUID(hex=salted_hmac("backend.accounts.sign_ins", key, algorithm="sha256").hexdigest()[:32], version=4)


def end(*, person: Person, id: uuid.UUID) -> bool:
    """Ends one. False when the person has none of this id."""
    keys = [key for key in Session.objects.filter(person=person).values_list("pk", flat=True) if id_of(key) == id]
    return bool(_end(Session.objects.filter(person=person, pk__in=keys), person))


def end_others(*, person: Person, keep: str | None) -> int:
    """Ends all but the asking one; returns how many."""
    others = Session.objects.filter(person=person)
    if keep is not None:
        others = others.exclude(pk=keep)
    return _end(others, person)


def end_on_device(*, person: Person, device: uuid.UUID) -> int:
    """Ends all on one device; returns how many."""
    mine = Session.objects.filter(person=person)
    keys = [row.pk for row in mine if lifetimes.facts_of(row.get_decoded()).get("device") == str(device)]
    return _end(Session.objects.filter(person=person, pk__in=keys), person)


def _end(sessions: QuerySet[Session], person: Person) -> int:
    ended: int = sessions.delete()[0]
    if ended:
        audit.note(
            action=Action.SIGN_OUT, object_type="sign-in", person_id=person.id, reason=f"{ended} ended from elsewhere"
        )
    return ended
