"""What a page says when there is no page: plain words, and the way back."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from backend.common import problems
from backend.common.problems import Problem

_WORDS: Mapping[int, tuple[str, str]] = {
    400: ("This address asks for something impossible", "Check what comes after the question mark in it."),
    403: ("This page is for care teams", "Your own record is in the app on your phone."),
    404: ("Nothing here for you", "There is no such page, or the person is not in your care team."),
    429: ("Too many attempts", "Wait a few minutes, then try again. Nothing has been locked for good."),
    500: ("This page did not load", "The records are safe. Try again; if it stays so, tell us the reference below."),
    503: ("The database is away for a moment", "The records are safe. Try again in a few seconds."),
}


def page(request: HttpRequest, *, status: int, headline: str = "", text: str = "", **more: Any) -> HttpResponse:
    """A page that says what happened; without words of the caller's, those for the status."""
    known = _WORDS.get(status, _WORDS[500])
    # A 500 or 503 may mean that the database is away, so nothing asks it who this is.
    # Nor is it known before the middleware has asked, as with a host that is not ours.
    signed_in = status < 500 and hasattr(request, "user") and request.user.is_authenticated
    back = reverse("panel") if signed_in else reverse("account_login")
    context = {
        "headline": headline or known[0],
        "text": text or known[1],
        "link_href": "" if status in {403, 429} else back,
        "link_text": "Back to the panel" if signed_in else "Sign in",
        "sign_out": status == 403 and signed_in,
        "reference": getattr(request, "request_id", "") if status >= 500 else "",
        "theme": theme_of(request),
        **more,
    }
    return render(request, "web/message.html", context, status=status)


def theme_of(request: HttpRequest) -> str:
    """The theme that the reader chose, or nothing for the system's."""
    chosen = request.COOKIES.get("theme", "")
    return chosen if chosen in {"light", "dark"} else ""


def _answer(request: HttpRequest, status: int, code: str) -> HttpResponse:
    if request.path.startswith("/api/"):
        return problems.answer(Problem(status=status, code=code, detail=_API_WORDS[status]))
    return page(request, status=status)


_API_WORDS = {
    400: "The request has a fault.",
    403: "Your role may not do this.",
    404: "There is no such address.",
    500: "Something failed on our side; nothing was stored.",
}


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler for 400."""
    return _answer(request, 400, "bad_request")


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler for 403."""
    return _answer(request, 403, "permission_denied")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler for 404."""
    return _answer(request, 404, "not_found")


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler for 500. It must not touch the database, which may be the fault."""
    if request.path.startswith("/api/"):
        return problems.answer(Problem(status=500, code="server_error", detail=_API_WORDS[500]))
    return render(
        request,
        "web/message.html",
        {
            "headline": _WORDS[500][0],
            "text": _WORDS[500][1],
            "link_href": reverse("panel"),
            "link_text": "Try again",
            "reference": getattr(request, "request_id", ""),
            "theme": theme_of(request),
        },
        status=500,
    )
