"""The demo's mailbox as pages, newest first; and the codes of its staff's second step."""

from pathlib import Path

from csp.decorators import csp_update
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from backend.accounts.second_factor import STEP_SECONDS
from backend.common import clock
from backend.demo.cast import MUMBAI, WORKERS, email_of
from backend.demo.codes import code_of
from backend.demo.mailbox import KEEP, Mail, Maildir

SHOWN = 100
REFRESH_S = 5
PLACE = "Mumbai"
# For a mail's HTML, which is a stranger's: its own styles and pictures inside it, and nothing else.
FRAMED = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'self'; base-uri 'none'"
)


def _maildir() -> Maildir:
    return Maildir(Path(settings.LOCAL_DIR) / "mail")


@never_cache
@require_safe
def codes(request: HttpRequest) -> HttpResponse:
    """The codes that the phones of the demo's staff show now; the page asks again when they change."""
    now = clock.now()
    shown = [
        {"code": code_of(worker.key, now=now), "name": worker.name, "email": email_of(worker.key)} for worker in WORKERS
    ]
    left = STEP_SECONDS - int(now.timestamp()) % STEP_SECONDS
    return render(request, "demo/codes.html", {"codes": shown, "left_s": left})


@never_cache
@require_safe
def mails(request: HttpRequest) -> HttpResponse:
    """The newest mails; the page asks again by itself every few seconds."""
    shown = [_shown(mail) for mail in _maildir().newest(SHOWN)]
    context = {"mails": shown, "refresh_s": REFRESH_S, "kept": KEEP, "place": PLACE}
    return render(request, "demo/mails.html", context)


@never_cache
@require_safe
@csp_update({"frame-src": ["'self'"]})  # type: ignore[arg-type]
def mail(request: HttpRequest, key: str) -> HttpResponse:
    """One mail's words; its HTML stands in a frame that may do nothing."""
    return render(request, "demo/mail.html", {"mail": _shown(_found(key)), "place": PLACE})


@never_cache
@require_safe
def html(request: HttpRequest, key: str) -> HttpResponse:
    """One mail's HTML, from a stranger as far as the browser knows: no script, no form, nothing loaded."""
    found = _found(key)
    if found.html is None:
        raise Http404
    response = HttpResponse(found.html)
    response["Content-Security-Policy"] = FRAMED
    response["X-Frame-Options"] = "SAMEORIGIN"
    return response


def _found(key: str) -> Mail:
    found = _maildir().read(key)
    if found is None:
        raise Http404
    return found


def _shown(mail: Mail) -> dict[str, object]:
    local = mail.at.astimezone(clock.zone(MUMBAI.time_zone))
    return {
        **mail._asdict(),
        "local": local.strftime("%H:%M:%S"),
        "on": local.strftime("%a %d %b"),
        "iso": local.isoformat(),
    }
