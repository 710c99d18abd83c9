"""What is answered when no view did: a problem document to programs, a page to people."""

from django.http import HttpRequest, HttpResponse

from backend.common import problems
from backend.common.problems import Problem
from backend.web import errors


def _for_programs(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: the request itself is broken (a host that is not ours, a path that is no text)."""
    if _for_programs(request):
        return problems.answer(Problem(status=400, code="bad_request", detail="The request cannot be understood."))
    return errors.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    if _for_programs(request):
        return problems.answer(Problem(status=403, code="permission_denied", detail="Your role may not do this."))
    return errors.forbidden(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404: an address that does not exist looks like a record that is not yours."""
    if _for_programs(request):
        return problems.answer(problems.not_found())
    return errors.not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """500: our fault; nothing was stored, since the transaction was rolled back."""
    if _for_programs(request):
        return problems.answer(
            Problem(status=500, code="server_error", detail="That was our fault; nothing was stored. Try again later.")
        )
    return errors.server_error(request)
