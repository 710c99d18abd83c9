"""What the pages about one's own account share: who is here, that the password is fresh, and the way on."""

from typing import Any
from urllib.parse import urlencode

from allauth.account.internal.flows.reauthentication import is_reauthentication_required
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from backend.accounts import activity, second_factor
from backend.accounts.models import Person
from backend.common import clock
from backend.web import errors


@method_decorator([never_cache, sensitive_post_parameters()], name="dispatch")
class AccountPage(View):
    """A page for everyone who is signed in, staff without a second factor too; the anteroom is its transaction."""

    http_method_names = ["get", "head", "post", "options"]
    proved_only = False
    person: Person

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The page, or the way to sign in."""
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path(), reverse("account_login"))
        self.person, self.now = request.user, clock.now()
        if self.proved_only and second_factor.is_missing(person=self.person, session=request.session):
            return to_set_up(request)
        activity.note(request=request, session=request.session, person=self.person, now=self.now)
        return super().dispatch(request, *args, **kwargs)

    def page(self, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
        """The template, alone on its page."""
        return alone(self.request, template, status=status, **context)

    def password_first(self) -> HttpResponseRedirect | None:
        """The way to the password, when it was not entered just now."""
        if not is_reauthentication_required(self.request, app="allauth.mfa"):
            return None
        here = self.request.get_full_path() if self.request.method == "GET" else reverse("sign_ins")
        return HttpResponseRedirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': here})}")


def alone(request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
    """A page with one card, in the reader's theme."""
    return render(request, template, {"theme": errors.theme_of(request), **context}, status=status)


def way_on(request: HttpRequest) -> str:
    """Where the reader wanted to go, as long as that is here; else the panel."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else reverse("panel")


def to_set_up(request: HttpRequest) -> HttpResponseRedirect:
    """The way to the second factor, and back to where the reader was."""
    after = {"next": request.get_full_path()} if request.method == "GET" else {}
    return HttpResponseRedirect(f"{reverse('second_factor_set_up')}?{urlencode(after)}")


def name_browser(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The browser that has just been used for the first time keeps a name, so that it is known again."""
    if name := getattr(request, "new_browser", None):
        response.set_cookie(
            settings.BROWSER_COOKIE_NAME,
            name,
            max_age=365 * 24 * 3600,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return response
