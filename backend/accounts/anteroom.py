"""The anteroom: everything about signing in happens in one transaction that sees the one person concerned."""

import base64
import binascii
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase

from backend.accounts import access
from backend.accounts.sessions import SessionStore, token_of
from backend.common import client_address

ROOMS = ("/api/v1/auth/", "/sign-in", "/sign-out", "/second-factor")
# Where a session that is on its way to being signed in keeps whose it is: allauth's own names.
_STATES = {"account_login": "user_pk", "account_password_reset_verification": "user_id"}


class Anteroom:
    """Middleware around allauth's views, which look people up by an address or by a session that is half signed in.

    Row-level security lets them see only the row of the address that was sent, or of the person whom the session
    names. A refusal is kept (what was counted, what was noted); only a fault of ours rolls back.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answers inside the transaction, where it is one of the anteroom's addresses."""
        if not request.path.startswith(ROOMS):
            return self.get_response(request)
        person = next(_persons(request), None)
        with access.acting_as(
            person,
            None,
            "sign-in",
            None,
            getattr(request, "request_id", ""),
            key=_key(_sent(request)),
            address=client_address.address_of(request),
        ):
            response = self.get_response(request)
            if response.status_code >= 500:
                transaction.set_rollback(True)
        return response


def _persons(request: HttpRequest) -> Iterator[uuid.UUID]:
    """Whom the session names: signed in, half signed in, or about to set a new password."""
    token = token_of(request)
    session: SessionBase = SessionStore(token) if token and token.isascii() and token.isalnum() else request.session
    named = [session.get(SESSION_KEY)]
    named += [state.get(name) for key, name in _STATES.items() if isinstance(state := session.get(key), dict)]
    for each in named:
        try:
            yield uuid.UUID(str(each))
        except ValueError:
            continue


def _sent(request: HttpRequest) -> Mapping[str, Any]:
    """The body, as far as it is a form or a JSON object; what is neither is refused further in."""
    if request.method not in {"POST", "PUT", "PATCH", "DELETE"}:
        return {}
    if request.content_type == "application/json":
        try:
            body = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            return {}
        return body if isinstance(body, dict) else {}
    return request.POST.dict()


def _key(body: Mapping[str, Any]) -> str:
    """What the request says of whom it is about: an address, or the owner whom a passkey names."""
    address = body.get("email") or body.get("login")
    if isinstance(address, str) and "\x00" not in address:
        return address.strip().lower()
    return _owner_of_passkey(body.get("credential"))


def _owner_of_passkey(credential: Any) -> str:
    """The id in a passkey's user handle, empty without one (WebAuthn level 2, 5.4.3: it is ours, and no secret)."""
    if isinstance(credential, str):
        try:
            credential = orjson.loads(credential)
        except orjson.JSONDecodeError:
            return ""
    answer = credential.get("response") if isinstance(credential, dict) else None
    handle = answer.get("userHandle") if isinstance(answer, dict) else None
    if not isinstance(handle, str):
        return ""
    try:
        return str(uuid.UUID(base64.urlsafe_b64decode(handle + "=" * (-len(handle) % 4)).decode()))
    except (ValueError, binascii.Error):
        return ""
