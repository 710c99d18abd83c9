"""The base of every API view: who asks, inside which transaction, and how a refusal leaves nothing behind."""

import contextlib
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import DatabaseError, transaction
from django.http import HttpResponseBase
from django.http.request import HttpRequest
from rest_framework import permissions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.accounts import access, lifetimes, second_factor, trail
from backend.accounts.access import Actor
from backend.accounts.models import Action
from backend.accounts.reach import EVERYBODY, Grant
from backend.common import client_address, clock, problems
from backend.common.problems import FieldError, Problem


class DoorView(APIView):
    """One request, one transaction: entered after sign-in, rolled back by an exception or a refusal (400 and above).

    `roles` declares for each verb which roles may use it and how far they reach (accounts/reach.py). What
    the answer showed (`actor.shown`) goes into the audit trail, unless the view is not `audited`: it tells of nobody.
    """

    permission_classes = (permissions.IsAuthenticated,)
    _door: contextlib.ExitStack
    roles: ClassVar[Mapping[str, Grant]]
    audited: ClassVar[bool] = True
    told_as: ClassVar[Action | None] = None  # what a reading is in the trail, where it is neither a read nor a list

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """DRF's order of things, with the door to the database right after authentication."""
        self.format_kwarg = self.get_format_suffix(**kwargs)
        renderer, media_type = self.perform_content_negotiation(request)
        request.accepted_renderer = renderer
        request.accepted_media_type = media_type
        request.version, request.versioning_scheme = self.determine_version(request, *args, **kwargs)
        self.perform_authentication(request)
        self.now = clock.now()
        if request.user.is_authenticated:
            self._enter(request)
        self.check_permissions(request)
        self.check_throttles(request)
        self._check_role(request)

    def _enter(self, request: Request) -> None:
        # Sign-in tables (session, person, memberships) are read before the door; from then on the clinic is certain.
        asks: dict[str, Any] = {
            "person": request.user,
            "device_id": device_of(request.auth),
            "request_id": getattr(request, "request_id", ""),
            "address": client_address.address_of(request),
        }
        self.actor: Actor = Actor(clinic_id=None, roles=frozenset(), **asks)  # whose refusal what follows may be
        if second_factor.is_missing(person=request.user, session=request.auth):  # type: ignore[arg-type]
            raise Problem(
                status=403,
                code="second_factor_required",
                detail="Staff sign in with a second factor: set one up at auth/app/v1/account/authenticators/totp.",
            )
        self.actor = access.actor_of(clinic_id=_uuid_header(request, "X-Clinic"), **asks)
        self._door.enter_context(access.entered_by(self.actor, self._purpose(request)))
        self._entered = True

    def _purpose(self, request: Request) -> str:
        return f"{request.method} {type(self).__name__}"

    def _check_role(self, request: Request) -> None:
        allowed = self.roles.get("GET" if request.method == "HEAD" else request.method or "")
        if allowed is EVERYBODY:  # those without any role too
            return
        if allowed is not None and not self.actor.roles & allowed.keys():
            raise Problem(status=403, code="permission_denied", detail="Your role may not do this.")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answers, and commits or rolls back before the answer leaves."""
        self._entered = False
        try:
            with contextlib.ExitStack() as self._door:
                response = super().dispatch(request, *args, **kwargs)
                if self._entered and response.status_code >= 400:
                    transaction.set_rollback(True)
                elif self._entered and self.audited:
                    trail.tell(self.actor, request, answer=getattr(response, "data", None), told_as=self.told_as)
        except DatabaseError as error:
            problem = _of_database(error)
            if problem is None:
                raise
            response = self.finalize_response(self.request, self.handle_exception(problem), *args, **kwargs)
        if self.audited and hasattr(self, "actor"):
            trail.tell_refusal(self.actor, request, status=response.status_code, code=_code(response))
        return response

    def handle_exception(self, exc: Exception) -> Response:
        """Known refusals of the database are answers too; everything else goes DRF's way."""
        if isinstance(exc, DatabaseError):
            exc = _of_database(exc) or exc
        return super().handle_exception(exc)


def _code(response: HttpResponseBase) -> str:
    """The code of a refusal, for the audit trail."""
    data = getattr(response, "data", None)
    return str(data.get("code", "")) if isinstance(data, Mapping) else ""


def _of_database(error: DatabaseError) -> Problem | None:
    """Two requests that met, or a database that went away, as an answer that says: send it again."""
    state = getattr(error.__cause__, "sqlstate", None) or ""
    if state in {"40001", "40P01", "55P03"}:
        return Problem(
            status=503,
            code="try_again",
            detail="Two changes met; nothing was stored. Send the request again.",
            headers={"Retry-After": "1"},
        )
    if state.startswith(("08", "57P")) or (
        not state and type(error).__name__ in {"OperationalError", "InterfaceError"}
    ):
        return Problem(
            status=503,
            code="database_away",
            detail="The database is away for a moment; nothing was stored. Send the request again.",
            headers={"Retry-After": "2"},
        )
    if state.startswith("22") or state == "23514":
        return Problem(
            status=400,
            code="cannot_be_stored",
            detail="A value is of a kind or size that cannot be stored; nothing was. Check it against the contract.",
        )
    return None


def device_of(session: Any) -> uuid.UUID | None:
    """The device of this sign-in, None when it is not known."""
    named = lifetimes.facts_of(session).get("device")
    return None if named is None else uuid.UUID(named)


def _uuid_header(request: Request, name: str) -> uuid.UUID | None:
    value = request.headers.get(name)
    if not value:
        return None
    try:
        return uuid.UUID(value)
    except ValueError:
        raise problems.invalid(FieldError(name, "invalid", f"{name} must be the id of a clinic.")) from None
