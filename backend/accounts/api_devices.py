"""The doors to one's own phones and sign-ins: what there is, and ending it."""

import uuid
from typing import Annotated, Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import devices, lifetimes, reach, sign_ins
from backend.accounts.door import DoorView
from backend.accounts.models import Device
from backend.accounts.shapes import DEVICE, SIGN_IN
from backend.common import bodies, openapi, outward, problems, queries
from backend.common.bodies import Struct, ZoneName
from backend.common.problems import FieldError

READ_ONLY = frozenset({"id", "what", "address", "seen_at", "asks_zone", "current"})
PLATFORMS = ("android", "ios", "web", devices.APP, devices.BROWSER)


class PushKeys(Struct, kw_only=True, frozen=True):
    """The keys of a browser's push subscription (RFC 8291), base64url."""

    p256dh: Annotated[str, Meta(max_length=200, pattern="^[A-Za-z0-9_=-]+$(?!\n)")]
    auth: Annotated[str, Meta(max_length=100, pattern="^[A-Za-z0-9_=-]+$(?!\n)")]


class Push(Struct, kw_only=True, frozen=True):
    """Where pushes go: `endpoint` and `keys` of Web Push, or `fcm_token`."""

    endpoint: Annotated[str, Meta(max_length=1000, pattern="^https?://[^\\s\x00]+$(?!\n)")] | None = None
    keys: PushKeys | None = None
    fcm_token: Annotated[str, Meta(min_length=1, max_length=1000, pattern="^[^\\s\x00]+$(?!\n)")] | None = None


class DeviceBody(Struct, kw_only=True, frozen=True):
    """What a phone says of itself."""

    platform: Annotated[str, bodies.choice(PLATFORMS)]
    push: Push | None = None
    app_version: Annotated[str, Meta(max_length=40, pattern="^[^\x00-\x1f]*$(?!\n)")] = ""
    locale: Annotated[str, Meta(max_length=10, pattern="^([a-z]{2,3}(-[A-Za-z0-9]{2,6})?)?$(?!\n)")] = ""
    time_zone: ZoneName | None = None

    def faults(self) -> list[FieldError]:
        """A push goes one way."""
        if self.push is None:
            return []
        web = self.push.endpoint is not None and self.push.keys is not None
        partly = (self.push.endpoint is None) != (self.push.keys is None)
        if partly or web == (self.push.fcm_token is not None):
            return [FieldError("/push", "incomplete", "push needs endpoint and keys, or fcm_token; null for none.")]
        return _fault_of_endpoint(self.push.endpoint)


def _fault_of_endpoint(endpoint: str | None) -> list[FieldError]:
    """We connect to what a client names: never into our own network. The name is resolved when something is sent."""
    try:
        if endpoint is not None:
            outward.refuse(endpoint, loopback=settings.PUSH_TO_LOOPBACK)
    except outward.NotPublic as error:
        return [FieldError("/push/endpoint", "not_public", f"The endpoint must be a public push service. {error}")]
    return []


class MyDevices(DoorView):
    """The own phones and browsers."""

    roles = {"GET": reach.EVERYBODY}

    @extend_schema(operation_id="me_devices_list", responses={200: openapi.listing(DEVICE)})
    def get(self, request: Request) -> Response:
        """All of them, the latest used first."""
        queries.refuse_unknown(request, ())
        mine = Device.objects.filter(person=self.actor.person).order_by("-seen_at", "id")
        return Response({"results": [self._json(row) for row in mine], "next": None, "previous": None})

    def _json(self, row: Device) -> dict[str, Any]:
        return {
            "id": row.id,
            "platform": row.platform,
            "push": row.push,
            "app_version": row.app_version,
            "locale": row.locale,
            "time_zone": row.time_zone or None,
            "what": devices.words_for(row.agent),
            "address": row.address or None,
            "seen_at": row.seen_at,
            "asks_zone": devices.zone_to_ask_about(row, self.actor.person),
            "current": row.id == self.actor.device_id,
        }


class MyDevice(MyDevices):
    """One of the own phones and browsers."""

    roles = {"GET": reach.EVERYBODY, "PUT": reach.EVERYBODY, "DELETE": reach.EVERYBODY}

    @extend_schema(operation_id="me_device_read", responses={200: DEVICE})
    def get(self, request: Request, id: uuid.UUID) -> Response:  # type: ignore[override]
        """What it says of itself, and when it was last used."""
        queries.refuse_unknown(request, ())
        return Response(self._json(self._find(id)))

    @extend_schema(
        operation_id="me_device_put",
        request={"application/json": openapi.component(DeviceBody)},
        responses={200: DEVICE, 201: DEVICE},
    )
    def put(self, request: Request, id: uuid.UUID) -> Response:
        """Writes what this phone says of itself; from now on this sign-in is known to be on it.

        `asks_zone` names the zone that the phone is in when it is not the one that the person lives in: ask, and send
        the answer to `PATCH me`. Nothing moves by itself.
        """
        body = bodies.read(request, DeviceBody, ignored=READ_ONLY)
        try:
            row, is_new = devices.put(
                person=self.actor.person,
                id=id,
                now=self.now,
                platform=body.platform,
                push=_push(body.push) if body.push else None,
                app_version=body.app_version,
                locale=body.locale,
                time_zone=body.time_zone or "",
            )
        except devices.IdTaken:
            raise problems.not_found() from None
        self._move_here(request, row)
        return Response(self._json(row) | {"current": True}, status=201 if is_new else 200)

    @extend_schema(operation_id="me_device_remove", responses={204: None})
    def delete(self, request: Request, id: uuid.UUID) -> Response:
        """Forgets it: no more pushes to it, and its sign-ins end at once."""
        self._find(id)
        sign_ins.end_on_device(person=self.actor.person, device=id)
        Device.objects.filter(id=id, person=self.actor.person).delete()
        return Response(status=204)

    def _move_here(self, request: Request, row: Device) -> None:
        session: Any = request.auth
        facts = lifetimes.facts_of(session)
        if facts.get("device") != str(row.id):
            devices.succeed(person=self.actor.person, old=facts.get("device"), new=row)
            session[lifetimes.FACTS] = {**facts, "device": str(row.id)}
            session.save()

    def _find(self, id: uuid.UUID) -> Device:
        found = Device.objects.filter(id=id, person=self.actor.person).first()
        if found is None:
            raise problems.not_found()
        return found


class MySignIns(DoorView):
    """Where one is signed in."""

    roles = {"GET": reach.EVERYBODY, "DELETE": reach.EVERYBODY}

    @extend_schema(operation_id="me_sessions_list", responses={200: openapi.listing(SIGN_IN)})
    def get(self, request: Request) -> Response:
        """All sign-ins that live: the asking one first, then the latest used."""
        queries.refuse_unknown(request, ())
        return Response({"results": [_sign_in(one) for one in self._all(request)], "next": None, "previous": None})

    @extend_schema(operation_id="me_sessions_end_others", responses={204: None})
    def delete(self, request: Request) -> Response:
        """Ends all but the asking one; their tokens open nothing from now on."""
        queries.refuse_unknown(request, ())
        sign_ins.end_others(person=self.actor.person, keep=_key(request))
        return Response(status=204)

    def _all(self, request: Request) -> list[sign_ins.SignIn]:
        return sign_ins.of(person=self.actor.person, current=_key(request), now=self.now)


class MySignIn(MySignIns):
    """One sign-in."""

    roles = {"GET": reach.EVERYBODY, "DELETE": reach.EVERYBODY}

    @extend_schema(operation_id="me_session_read", responses={200: SIGN_IN})
    def get(self, request: Request, id: uuid.UUID) -> Response:  # type: ignore[override]
        """What, where, since when, last used when."""
        queries.refuse_unknown(request, ())
        found = next((one for one in self._all(request) if one.id == id), None)
        if found is None:
            raise problems.not_found()
        return Response(_sign_in(found))

    @extend_schema(operation_id="me_session_end", responses={204: None})
    def delete(self, request: Request, id: uuid.UUID) -> Response:  # type: ignore[override]
        """Ends it; its token opens nothing from now on."""
        queries.refuse_unknown(request, ())
        if not sign_ins.end(person=self.actor.person, id=id):
            raise problems.not_found()
        return Response(status=204)


def _push(push: Push) -> dict[str, Any]:
    if push.fcm_token is not None:
        return {"fcm_token": push.fcm_token}
    assert push.keys is not None  # noqa: S101 - the body's own check
    return {"endpoint": push.endpoint, "keys": {"p256dh": push.keys.p256dh, "auth": push.keys.auth}}


def _key(request: Request) -> str | None:
    session: Any = request.auth
    key: str | None = session.session_key
    return key


def _sign_in(one: sign_ins.SignIn) -> dict[str, Any]:
    return {
        "id": one.id,
        "device": one.device.id if one.device else None,
        "what": one.what,
        "address": one.address or None,
        "began_at": one.began_at,
        "seen_at": one.seen_at,
        "ends_at": one.ends_at,
        "second_factor": one.second_factor,
        "current": one.current,
    }
