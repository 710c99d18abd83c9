"""The shape of requests and answers: JSON in and out, size limits, the request's id."""

import re
import uuid
from collections.abc import Callable
from typing import Any

import orjson
import structlog
from django.http import HttpRequest, HttpResponse
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from backend.common import problems

MIB = 1024 * 1024
# API.md: 413 past 1 MiB, a batch may have 5, a push of the sync protocol 20.
_LIMITS = ((re.compile(r"^/api/v1/sync/push$"), 20 * MIB), (re.compile(r"^/api/v1/[a-z-]+/batch$"), 5 * MIB))
MAX_DEPTH = 32
_VERBS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_UUID = re.compile(r"(?<=/)[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?=/|$)")
_REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")


class JSONParser(BaseParser):
    """Reads JSON strictly: no NaN, bounded nesting, valid UTF-8."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """The decoded body. Raises a 400 problem."""
        return decode(stream.read())


class JSONRenderer(BaseRenderer):
    """Writes JSON by orjson: instants with offset, UUIDs and dates as text."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        """Bytes of the answer; a body that is bytes already passes through."""
        if data is None:
            return b""
        if isinstance(data, bytes):
            return data
        return orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS)


def decode(body: bytes) -> Any:
    """JSON to Python. Raises a 400 problem that says where the text stops being JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise problems.invalid(
            problems.FieldError(
                "", "not_json", f"The body is not JSON at line {error.lineno}, column {error.colno}: {error.msg}."
            )
        ) from None
    except RecursionError:
        raise problems.invalid(problems.FieldError("", "not_json", "The body is nested too deeply.")) from None


def _deeper_than(limit: int, data: Any) -> bool:
    """Whether lists and objects are nested beyond the limit; allauth's own reader would break on it."""
    level = [data]
    for _ in range(limit + 1):
        level = [part for part in level if isinstance(part, dict | list)]
        level = [value for part in level for value in (part.values() if isinstance(part, dict) else part)]
    return any(isinstance(part, dict | list) for part in level)


def limit_for(path: str) -> int:
    """How many bytes a body sent to this path may have."""
    return next((limit for pattern, limit in _LIMITS if pattern.match(path)), MIB)


class RequestGate:
    """Middleware: gives each request an id, and turns away bodies that are too large before a byte of them is kept."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The answer, with `X-Request-Id`."""
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _REQUEST_ID.match(given) else str(uuid.uuid4())
        request.request_id = request_id  # type: ignore[attr-defined]
        # Some phones write ids in capitals; it is the same record.
        request.path_info = _UUID.sub(lambda found: found[0].lower(), request.path_info)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = self._refusal(request) or self.get_response(request)
        response["X-Request-Id"] = request_id
        if response.status_code == 429:
            response.setdefault("Retry-After", "60")
        return response

    def _refusal(self, request: HttpRequest) -> HttpResponse | None:
        if request.method not in _VERBS:
            known = ", ".join(sorted(_VERBS))
            detail = f"Nothing here knows this verb; the known ones are {known}."
            refusal = problems.Problem(status=405, code="method_not_allowed", detail=detail, headers={"Allow": known})
            return problems.answer(refusal)
        if not request.path.startswith("/api/"):
            return None
        if request.META.get("HTTP_TRANSFER_ENCODING"):
            fault = problems.FieldError(
                "Content-Length", "required", "Send the body with a Content-Length, not chunked."
            )
            return problems.answer(problems.invalid(fault))
        limit = limit_for(request.path)
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdigit() or int(length) > limit:
            return problems.answer(
                problems.Problem(
                    status=413,
                    code="too_large",
                    detail=f"The body may have at most {limit // MIB} MiB; send less at a time.",
                )
            )
        if request.path.startswith("/api/v1/auth/") and length != "0":
            try:
                data = decode(request.body)
                if _deeper_than(MAX_DEPTH, data):
                    raise problems.invalid(problems.FieldError("", "not_json", "The body is nested too deeply."))
            except problems.Problem as problem:
                return problems.answer(problem)
        return None
