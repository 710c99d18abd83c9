"""What a request leaves in the audit trail: one event for what it showed, or for what was refused."""

import contextlib
import re
import uuid
from collections.abc import Mapping
from typing import Any

import structlog
from django.db import DatabaseError
from django.http import HttpRequest
from rest_framework.request import Request

from backend.accounts import access, audit
from backend.accounts.access import Actor
from backend.accounts.models import Action

log = structlog.get_logger(__name__)
_PARAMETER = re.compile(r"<[^>]*>")
_READING = {"GET", "HEAD"}
_REFUSED = {403, 404}


def tell(actor: Actor, request: HttpRequest | Request, *, answer: Any = None, told_as: Action | None = None) -> None:
    """Writes what an answer showed, in the request's own transaction: nothing is shown that is not told.

    A patient's or caregiver's reads of the own content are one event per device and hour; of others' content, and what
    staff read, each. A write is told by what it wrote; its answer makes an event where nothing was written.
    """
    others = actor.shown - {actor.person.id}
    if actor.is_patient and not others:
        actor.shown.add(actor.person.id)  # the own account is content too
    if request.method in _READING and told_as is not None:
        _tell(actor, request, told_as, once="")
    elif request.method in _READING:
        action = Action.LIST if isinstance(answer, Mapping) and "results" in answer else Action.READ
        _tell(actor, request, action, once="" if others or actor.is_staff else "hour")
    elif others:
        _tell(actor, request, Action.READ, once="request")


def tell_refusal(actor: Actor, request: HttpRequest | Request, *, status: int, code: str = "") -> None:
    """Writes, in a transaction of its own, that something was refused, or what a refusal showed all the same.

    Whether the ids that were asked for exist is not looked up: whoever tries ids is seen either way. The refusal has
    been decided; that it cannot be written does not change it.
    """
    refused = status in _REFUSED
    if not refused and not (status >= 400 and actor.shown - {actor.person.id}):
        return
    try:
        with access.entered_by(actor, "refusal"):
            if refused:
                kind, ids = _asked(request)
                audit.note(action=Action.REFUSED, object_type=kind, object_ids=ids, reason=f"{status} {code}".strip())
            else:
                _tell(actor, request, Action.READ, once="")
    except DatabaseError as error:
        log.warning("a refusal could not be written to the audit trail", error=type(error).__name__)


def _tell(actor: Actor, request: HttpRequest | Request, action: Action, *, once: str) -> None:
    kind, ids = _asked(request)
    audit.note_read(action=action, object_type=kind, object_ids=ids, patients=actor.shown, once=once)


def _asked(request: HttpRequest | Request) -> tuple[str, list[uuid.UUID]]:
    """The resource by its address without ids, such as `patients/trend`, and the ids that were named."""
    match = request.resolver_match
    if match is None:
        return "", []
    ids = [value for value in match.kwargs.values() if isinstance(value, uuid.UUID)]
    with contextlib.suppress(ValueError):  # no id at all, and refused as such
        ids += [uuid.UUID(request.GET["patient"])] if "patient" in request.GET else []
    route = match.route.removeprefix("api/v1/") if match.route.startswith("api/") else f"pages/{match.url_name}"
    return "/".join(part for part in _PARAMETER.sub("", route).split("/") if part), ids
