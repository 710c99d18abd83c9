"""A sign-in that has just succeeded: on which device, and whether the person is to be told."""

import uuid
from datetime import datetime

from django.conf import settings
from django.http import HttpRequest

from backend.accounts import devices, second_factor, sign_ins
from backend.accounts.models import Device, Person
from backend.common.client_address import address_of


def note(
    request: HttpRequest, *, person: Person, second_factor_proved: bool, is_app: bool, joining: bool, now: datetime
) -> None:
    """Writes device and proof into the session, and a mail when the device is new to this person."""
    known_already = Device.objects.filter(person=person).exists()
    device, is_new = devices.arrive(
        person=person,
        id=_named_by_app(request) if is_app else _named_by_browser(request, person),
        platform=devices.APP if is_app else devices.BROWSER,
        agent=request.headers.get("User-Agent", ""),
        address=address_of(request),
        now=now,
    )
    sign_ins.start(
        session=request.session,
        person=person,
        device=device,
        staff=second_factor.is_required(person),
        second_factor=second_factor_proved,
        now=now,
    )
    if is_new and not (joining and not known_already):
        devices.tell_of_sign_in(person=person, device=device, now=now)


def _named_by_app(request: HttpRequest) -> uuid.UUID | None:
    return _uuid(request.headers.get("X-Device", ""))


def _named_by_browser(request: HttpRequest, person: Person) -> uuid.UUID:
    # A browser keeps a name of its own, so that it is known again; for each who uses it it is another device.
    named = _uuid(request.COOKIES.get(settings.BROWSER_COOKIE_NAME, ""))
    if named is None:
        named = uuid.uuid4()
        request.new_browser = str(named)  # type: ignore[attr-defined] # for the page that answers
    return uuid.uuid5(named, str(person.pk))


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
