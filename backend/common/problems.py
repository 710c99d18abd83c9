"""Errors as RFC 9457 problem documents: what went wrong, at which field, and what to do about it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

import orjson
from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFilesSent
from django.http import Http404, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault: `pointer` is a JSON Pointer (RFC 6901) into the body, or the name of a query parameter."""

    pointer: str
    code: str
    detail: str


class Problem(exceptions.APIException):
    """An answer of 400 and above, raised from anywhere below a view."""

    def __init__(
        self,
        *,
        status: int,
        code: str,
        detail: str,
        errors: Iterable[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail=detail, code=code)
        self.status_code = status
        self.code = code
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def document(self) -> dict[str, Any]:
        """The body of the answer."""
        return document(
            status=self.status_code, code=self.code, detail=str(self.detail), errors=self.errors, extra=self.extra
        )


def invalid(*errors: FieldError) -> Problem:
    """400: the body or the query has these faults."""
    detail = errors[0].detail if len(errors) == 1 else f"{len(errors)} fields need a correction."
    return Problem(status=400, code="invalid", detail=detail, errors=errors)


def not_found(detail: str = "There is no such record, or it is not yours to see.") -> Problem:
    """404: absent and forbidden look alike to a stranger."""
    return Problem(status=404, code="not_found", detail=detail)


def document(
    *, status: int, code: str, detail: str, errors: Iterable[FieldError] = (), extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A problem document with `type`, `title`, `status`, `detail`, `code` and `errors`."""
    return {
        "type": f"/api/docs/problems/#{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [asdict(error) for error in errors],
        **(extra or {}),
    }


def answer(problem: Problem) -> HttpResponse:
    """The same document outside a DRF view (middleware, Django's own error handlers)."""
    response = HttpResponse(orjson.dumps(problem.document()), status=problem.status_code, content_type=MEDIA_TYPE)
    for name, value in problem.headers.items():
        response[name] = value
    return response


def handle(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler: everything known becomes a problem document, the unknown stays an error of ours."""
    problem = _as_problem(exc)
    if problem is None:
        return None
    response = Response(problem.document(), status=problem.status_code, headers=problem.headers)
    response.content_type = MEDIA_TYPE
    return response


def _as_problem(exc: Exception) -> Problem | None:
    if isinstance(exc, Problem):
        return exc
    if isinstance(exc, Http404 | exceptions.NotFound):
        return not_found()
    if isinstance(exc, PermissionDenied):
        return Problem(status=403, code="permission_denied", detail="Your role may not do this.")
    if isinstance(exc, RequestDataTooBig | TooManyFilesSent):
        return Problem(status=413, code="too_large", detail="The body is too large.")
    if isinstance(exc, exceptions.ValidationError):
        return invalid(*_walk(exc.get_full_details(), ""))
    if isinstance(exc, exceptions.APIException):
        return _from_drf(exc)
    return None


def _from_drf(exc: exceptions.APIException) -> Problem:
    headers = {}
    if challenge := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(int(wait) + 1)
    code = exc.get_codes()
    return Problem(
        status=exc.status_code, code=code if isinstance(code, str) else "error", detail=str(exc.detail), headers=headers
    )


def _walk(details: Any, pointer: str) -> list[FieldError]:
    if isinstance(details, dict) and {"message", "code"} == details.keys():
        return [FieldError(pointer or "", str(details["code"]), str(details["message"]))]
    if isinstance(details, dict):
        return [
            e
            for key, value in details.items()
            for e in _walk(value, pointer if key == "non_field_errors" else f"{pointer}/{key}")
        ]
    if isinstance(details, list) and all(isinstance(d, dict) and {"message", "code"} == d.keys() for d in details):
        return [e for value in details for e in _walk(value, pointer)]
    return [e for i, value in enumerate(details) for e in _walk(value, f"{pointer}/{i}")]
