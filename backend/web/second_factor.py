"""The second factor in the browser: asked for at sign-in, set up, and taken away."""

import json
from typing import Any
from urllib.parse import urlencode

from allauth.account.internal.decorators import login_stage_required
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.models import Authenticator
from allauth.mfa.stages import AuthenticateStage
from allauth.mfa.totp.internal.auth import get_totp_secret
from allauth.mfa.webauthn.internal import auth as webauthn
from allauth.mfa.webauthn.internal import flows as webauthn_flows
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString, mark_safe
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from backend.accounts import attempts, proofs, second_factor
from backend.accounts.sign_in import Adapter
from backend.web.account import AccountPage, alone, name_browser, way_on

_TOO_MANY = "too_many_login_attempts"


@method_decorator(
    [
        login_stage_required(stage=AuthenticateStage.key, redirect_urlname="account_login"),
        never_cache,
        sensitive_post_parameters(),
    ],
    name="dispatch",
)
class SecondStep(View):
    """After the password: the code of an app, a recovery code or a passkey."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Asks."""
        return self._ask()

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Checks, and goes on to where the person wanted to go."""
        stage = request._login_stage  # type: ignore[attr-defined]
        if "cancel" in request.POST:
            response: HttpResponseBase = stage.abort()
            return response
        kind = proofs.PasskeyStepForm if "credential" in request.POST else proofs.CodeForm
        form = kind(user=stage.login.user, data=request.POST)
        if not form.is_valid():
            return self._ask(form)
        form.save()
        return name_browser(request, stage.exit())

    def _ask(self, form: Form | None = None) -> HttpResponse:
        person = self.request._login_stage.login.user  # type: ignore[attr-defined]
        held = set(Authenticator.objects.filter(user_id=person.pk).values_list("type", flat=True))
        options = webauthn.begin_authentication(person) if Authenticator.Type.WEBAUTHN in held else None
        return _limited(
            alone(
                self.request,
                "web/second_step.html",
                fault=fault_of(form),
                has_app=Authenticator.Type.TOTP in held,
                has_codes=Authenticator.Type.RECOVERY_CODES in held,
                passkey=as_json(options) if options else "",
            ),
            form,
        )


@method_decorator([never_cache, sensitive_post_parameters()], name="dispatch")
class PasskeySignIn(View):
    """Signing in by passkey alone: no address, no password."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """The challenge, for the script of the page."""
        return JsonResponse(webauthn.begin_authentication())

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Signs in."""
        form = proofs.PasskeyForm(data=request.POST)
        if not form.is_valid():
            page = alone(request, "web/sign_in.html", form=Form(), passkey_fault=fault_of(form), next=way_on(request))
            return _limited(page, form)
        from allauth.account.models import Login

        passkey = form.cleaned_data["credential"]
        login = Login(user=passkey.user, redirect_url=way_on(request))
        try:
            response = webauthn_flows.perform_passwordless_login(request, passkey, login)
        except ImmediateHttpResponse as refusal:  # pragma: no cover - allauth's way to answer from deep inside
            response = refusal.response
        return name_browser(request, response)


class SetUp(AccountPage):
    """Adding an authenticator app or a passkey."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        """Shows the code to scan."""
        if second_factor.is_required(self.person) and not second_factor.is_proved(request.session):
            held = Authenticator.objects.filter(user_id=self.person.pk, type__in=second_factor.PRIMARY)
            if held.exists():  # set up elsewhere meanwhile: this sign-in is from before
                return self.page("web/second_factor_elsewhere.html")
        return self.password_first() or self._show()

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Adds what was proved."""
        if first := self.password_first():
            return first
        if "credential" in request.POST:
            form = proofs.AddPasskeyForm(user=self.person, data={**request.POST.dict(), "passwordless": "on"})
            if not form.is_valid():
                return self._show(form)
            given = form.cleaned_data
            webauthn_flows.add_authenticator(request, name=given["name"], credential=given["credential"])
            second_factor.prove(request.session)
        else:
            form = proofs.EnrolAppForm(user=self.person, data=request.POST)
            if not form.is_valid():
                return self._show(form)
            second_factor.enrol_app(person=self.person, secret=form.secret, step=form.step)
            request.session.pop("mfa.totp.secret", None)
            proofs.finish_enrolment(request, person=self.person, said="totp_activated")
        return HttpResponseRedirect(f"{reverse('recovery_codes')}?{urlencode({'next': way_on(request)})}")

    def _show(self, form: Form | None = None) -> HttpResponse:
        has_app = second_factor.has_app(self.person)
        secret = "" if has_app else get_totp_secret(regenerate=False)
        adapter = second_factor.Adapter()
        return _limited(
            self.page(
                "web/second_factor_set_up.html",
                fault=fault_of(form),
                has_app=has_app,
                secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
                picture=_picture(adapter.build_totp_url(self.person, secret)) if secret else "",
                passkey=as_json(webauthn.begin_registration(self.person, True)),
                required=second_factor.is_missing(person=self.person, session=self.request.session),
                next=way_on(self.request),
            ),
            form,
        )


class RecoveryCodes(AccountPage):
    """The recovery codes: shown once after they were made; making new ones."""

    proved_only = True

    def get(self, request: HttpRequest) -> HttpResponseBase:
        """Shows those that nobody has seen yet."""
        if first := self.password_first():
            return first
        row = Authenticator.objects.filter(user_id=self.person.pk, type=Authenticator.Type.RECOVERY_CODES).first()
        if row is None or row.wrap().did_view:
            return HttpResponseRedirect(way_on(request))
        row.wrap().mark_as_viewed()
        return self.page("web/recovery_codes.html", codes=row.wrap().get_unused_codes(), next=way_on(request))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Makes new ones; the earlier ones open nothing any more."""
        if first := self.password_first():
            return first
        if not Authenticator.objects.filter(user_id=self.person.pk, type__in=second_factor.PRIMARY).exists():
            return HttpResponseRedirect(reverse("second_factor_set_up"))
        second_factor.renew_recovery_codes(self.person)
        Adapter(request).send_notification_mail("recovery_codes_generated", self.person)
        return HttpResponseRedirect(f"{reverse('recovery_codes')}?{urlencode({'next': reverse('sign_ins')})}")


def fault_of(form: Form | None) -> str:
    """What is wrong, in words; empty while nothing is."""
    if form is None or form.is_valid():
        return ""
    faults: list[ValidationError] = [fault for found in form.errors.as_data().values() for fault in found]
    return str(faults[0].messages[0])


def as_json(options: Any) -> str:
    """What a passkey is asked for, for the script of the page."""
    return json.dumps(options, cls=DjangoJSONEncoder)


def _limited(response: HttpResponse, form: Form | None) -> HttpResponse:
    """The page; 429 when the limit of attempts is what it says."""
    codes = {fault.code for found in form.errors.as_data().values() for fault in found} if form is not None else set()
    if _TOO_MANY in codes:
        response.status_code = 429
        response["Retry-After"] = str(int(attempts.WINDOW.total_seconds()))
    return response


def _picture(address: str) -> SafeString:
    """The code to scan, as SVG."""
    svg = second_factor.Adapter().build_totp_svg(address)
    picture: SafeString = mark_safe(svg[svg.index("<svg") :])  # noqa: S308 - drawn here, from our own address
    return picture
