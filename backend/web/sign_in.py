"""Signing in and out in the browser: allauth's own flow and limits, our words."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache

from backend.web import errors
from backend.web.account import name_browser

_TRY_AGAIN_SECONDS = 300


class SignIn(LoginView):  # type: ignore[misc]
    """E-mail address and password; errors and the limit in words."""

    template_name = "web/sign_in.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """allauth's view; when it answers 429, our page says so."""
        response: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        if response.status_code == 429:
            response = errors.page(request, status=429)
            response["Retry-After"] = str(_TRY_AGAIN_SECONDS)
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Without allauth's links to pages that we do not have."""
        context = super(LoginView, self).get_context_data(**kwargs)
        return {
            **context,
            "theme": errors.theme_of(self.request),
            "next": self.request.POST.get("next") or self.request.GET.get("next") or "",
        }

    def form_valid(self, form: Any) -> HttpResponseBase:
        """Signs in, or goes on to the second step."""
        return name_browser(self.request, super().form_valid(form))

    def form_invalid(self, form: Any) -> HttpResponse:
        """The form again; 429 when the limit of attempts is the reason."""
        response: HttpResponse = super().form_invalid(form)
        codes = {error.code for errors_of in form.errors.as_data().values() for error in errors_of}
        if "too_many_login_attempts" in codes:
            response.status_code = 429
            response["Retry-After"] = str(_TRY_AGAIN_SECONDS)
        return response


@method_decorator(never_cache, name="dispatch")
class SignOut(View):
    """Ends the session at once; a link that is merely followed signs nobody out."""

    http_method_names = ["get", "post"]

    def get(self, request: HttpRequest) -> HttpResponse:
        """Asks."""
        if not request.user.is_authenticated:
            return redirect("account_login")
        return errors.page(
            request, status=200, headline="Sign out?", text="You will need your password to come back.", sign_out=True
        )

    def post(self, request: HttpRequest) -> HttpResponseRedirect:
        """Does it."""
        get_adapter(request).logout(request)
        return redirect("account_login")
