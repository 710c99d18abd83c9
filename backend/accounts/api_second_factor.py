"""The app's doors to second factors: allauth's own views with our limits, our guard against replay, our rule for staff.

They stand before allauth's in the addresses and keep its shapes.
"""

from http import HTTPStatus
from typing import Any

from allauth.account.internal.flows.reauthentication import raise_if_reauthentication_required
from allauth.headless.account.inputs import ChangePasswordInput, RequestPasswordResetInput, SignupInput
from allauth.headless.account.views import ChangePasswordView, RequestPasswordResetView, SignupView
from allauth.headless.base.response import ConflictResponse
from allauth.headless.constants import Client
from allauth.headless.internal.restkit import inputs
from allauth.headless.internal.restkit.response import APIResponse, ErrorResponse
from allauth.headless.mfa import response, views
from allauth.mfa.webauthn.internal import flows as webauthn_flows
from django.http import HttpRequest
from django.urls import path

from backend.accounts import attempts, outbox, proofs, second_factor
from backend.accounts.attempts import Kind
from backend.accounts.models import Person
from backend.accounts.sign_in import Adapter, count

_APP = "allauth.mfa"


class CodeInput(proofs.CodeForm, inputs.Input):  # type: ignore[misc]
    """The code of the second step, as JSON."""


class CodeAgainInput(proofs.CodeAgainForm, inputs.Input):  # type: ignore[misc]
    """A code in place of the password, as JSON."""


class EnrolAppInput(proofs.EnrolAppForm, inputs.Input):  # type: ignore[misc]
    """The first code of a new app, as JSON."""


class PasskeyInput(proofs.PasskeyForm, inputs.Input):  # type: ignore[misc]
    """A passkey's answer, as JSON."""


class PasskeyStepInput(proofs.PasskeyStepForm, inputs.Input):  # type: ignore[misc]
    """A passkey after the password, as JSON."""


class PasskeyAgainInput(proofs.PasskeyAgainForm, inputs.Input):  # type: ignore[misc]
    """A passkey in place of the password, as JSON."""


class AddPasskeyInput(proofs.AddPasskeyForm, inputs.Input):  # type: ignore[misc]
    """A new passkey, as JSON."""


class ResetInput(RequestPasswordResetInput):  # type: ignore[misc]
    """Whose password to choose anew."""

    def clean_email(self) -> str:
        """The address; how often it may ask does not depend on whether it has an account."""
        email: str = super().clean_email()
        count(Adapter().request, kind=Kind.RESET, who=email, param="email")
        return email

    def save(self, request: HttpRequest, **kwargs: Any) -> str:
        """Mails the code. An address without an account costs the same time, and nothing stays of it."""
        if not self.users:
            outbox.rehearse()
        email: str = super().save(request, **kwargs)
        return email


class JoinInput(SignupInput):  # type: ignore[misc]
    """Address, password and the code of an invitation."""

    def clean(self) -> dict[str, Any]:
        """Counts attempts at one address, before the code is looked up."""
        tried = count(Adapter().request, kind=Kind.INVITATION, who=str(self.data.get("email", "")), param="invitation")
        cleaned: dict[str, Any] = super().clean()
        if not self.errors:
            attempts.forgive(numbers=tried)
        return cleaned


class NewPasswordInput(ChangePasswordInput):  # type: ignore[misc]
    """The old password and the new one."""

    def clean_current_password(self) -> Any:
        """The old password; wrong ones count like those at the door."""
        tried = count(Adapter().request, kind=Kind.PASSWORD, who=self.user.email, param="current_password")
        given = super().clean_current_password()
        attempts.forgive(numbers=tried)
        return given


class SecondStep(views.AuthenticateView):  # type: ignore[misc]
    """Signing in, second step: a code."""

    input_class = CodeInput


class CodeAgain(views.ReauthenticateView):  # type: ignore[misc]
    """A code in place of the password."""

    input_class = CodeAgainInput


class PasskeySignIn(views.LoginWebAuthnView):  # type: ignore[misc]
    """Signing in by passkey alone."""

    input_class = {"POST": PasskeyInput}


class PasskeyStep(views.AuthenticateWebAuthnView):  # type: ignore[misc]
    """Signing in, second step: a passkey."""

    input_class = {"POST": PasskeyStepInput}


class PasskeyAgain(views.ReauthenticateWebAuthnView):  # type: ignore[misc]
    """A passkey in place of the password."""

    input_class = {"POST": PasskeyAgainInput}


class AuthenticatorApp(views.ManageTOTPView):  # type: ignore[misc]
    """The own authenticator app."""

    input_class = {"POST": EnrolAppInput}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Adds it; the session is proved from now on and has a new token."""
        raise_if_reauthentication_required(request, app=_APP)
        try:
            made = second_factor.enrol_app(person=_person(request), secret=self.input.secret, step=self.input.step)
        except second_factor.AlreadyEnrolled:
            return ConflictResponse(request)
        request.session.pop("mfa.totp.secret", None)
        proofs.finish_enrolment(request, person=_person(request), said="totp_activated")
        return response.TOTPResponse(request, made)

    def delete(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Removes it, unless it is the last second factor of someone who needs one."""
        raise_if_reauthentication_required(request, app=_APP)
        if (held := self._get_authenticator()) and (refusal := _remove(request, [held.pk], said="totp_deactivated")):
            return refusal
        return response.AuthenticatorDeletedResponse(request)


class RecoveryCodes(views.ManageRecoveryCodesView):  # type: ignore[misc]
    """The own recovery codes."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Makes new ones and shows them, once."""
        raise_if_reauthentication_required(request, app=_APP)
        made = second_factor.renew_recovery_codes(_person(request))
        made.wrap().mark_as_viewed()
        Adapter(request).send_notification_mail("recovery_codes_generated", _person(request))
        return response.RecoveryCodesResponse(request, made, can_view=True)


class Passkeys(views.ManageWebAuthnView):  # type: ignore[misc]
    """The own passkeys."""

    input_class = {**views.ManageWebAuthnView.input_class, "POST": AddPasskeyInput}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Adds one; the session is proved from now on and has a new token."""
        given = self.input.cleaned_data
        made, codes = webauthn_flows.add_authenticator(request, name=given["name"], credential=given["credential"])
        second_factor.prove(request.session)
        return response.AuthenticatorResponse(request, made, meta={"recovery_codes_generated": bool(codes)})

    def delete(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Removes some, unless the last second factor of someone who needs one is among them."""
        raise_if_reauthentication_required(request, app=_APP)
        ids = [row.pk for row in self.input.cleaned_data["authenticators"]]
        return _remove(request, ids, said="webauthn_removed") or response.AuthenticatorsDeletedResponse(request)


class PasswordReset(RequestPasswordResetView):  # type: ignore[misc]
    """Asking for a code to choose a new password."""

    input_class = ResetInput


class Joining(SignupView):  # type: ignore[misc]
    """A new account, with an invitation."""

    input_class = {"POST": JoinInput}


class NewPassword(ChangePasswordView):  # type: ignore[misc]
    """Another password."""

    input_class = NewPasswordInput


def _person(request: HttpRequest) -> Person:
    assert isinstance(request.user, Person)  # noqa: S101 - allauth's views let nobody else in
    return request.user


def _remove(request: HttpRequest, ids: list[int], *, said: str) -> APIResponse | None:
    try:
        gone = second_factor.remove(person=_person(request), ids=ids)
    except second_factor.LastOne:
        fault = second_factor.Adapter().validation_error("last_one")
        return ErrorResponse(request, exception=fault, status=HTTPStatus.CONFLICT)
    if gone:
        Adapter(request).send_notification_mail(said, _person(request))
    return None


urlpatterns = [
    path(way, view.as_api_view(client=Client.APP))
    for way, view in (
        ("auth/2fa/authenticate", SecondStep),
        ("auth/2fa/reauthenticate", CodeAgain),
        ("auth/webauthn/login", PasskeySignIn),
        ("auth/webauthn/authenticate", PasskeyStep),
        ("auth/webauthn/reauthenticate", PasskeyAgain),
        ("auth/password/request", PasswordReset),
        ("auth/signup", Joining),
        ("account/authenticators/totp", AuthenticatorApp),
        ("account/authenticators/recovery-codes", RecoveryCodes),
        ("account/authenticators/webauthn", Passkeys),
        ("account/password/change", NewPassword),
    )
]
