"""The limit of requests, before anything else is done for one: the API, sign-in and pages alike."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from backend.accounts.sessions import token_of
from backend.common import clock, problems, throttles
from backend.common.client_address import address_of, is_loopback, network_of
from backend.common.problems import Problem
from backend.web import errors

# What watches over the server from this machine may ask as often as it likes.
_WATCHED = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestLimits:
    """Middleware: 429 with Retry-After to those who ask too often (API.md, 'Conventions')."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The answer, or the refusal."""
        if settings.RATE_LIMITS == "off" or (request.path in _WATCHED and is_loopback(request)):
            return self.get_response(request)
        token = token_of(request) or request.COOKIES.get(settings.SESSION_COOKIE_NAME) or None
        network, now = network_of(address_of(request)), clock.now()
        verdict = throttles.admit(network=network, token=token, now=now)
        if verdict.wait_seconds:
            return _refusal(request, verdict.wait_seconds)
        response = self.get_response(request)
        if token is not None and not verdict.known:
            if _signed_in(request):
                throttles.remember(token=token)
            else:
                throttles.note_stranger(network=network, now=now)
        return response


def _signed_in(request: HttpRequest) -> bool:
    """Whether a view has found out who asks; nobody is looked up for this."""
    user = request.__dict__.get("user")
    if isinstance(user, SimpleLazyObject):
        user = request.__dict__.get("_cached_user")  # what Django's middleware found, if anyone asked it
    return user is not None and user.is_authenticated


def _refusal(request: HttpRequest, seconds: int) -> HttpResponse:
    wait = f"{seconds} second{'' if seconds == 1 else 's'}"
    if request.path.startswith("/api/"):
        response = problems.answer(
            Problem(status=429, code="too_many_requests", detail=f"Too many requests; send the next in {wait}.")
        )
    else:
        response = errors.page(
            request, status=429, headline="Too many requests", text=f"Wait {wait}, then load the page again."
        )
    response["Retry-After"] = str(seconds)
    return response
