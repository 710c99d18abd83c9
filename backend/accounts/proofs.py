"""The forms by which a second factor is proved or set up, for the app and for the console's pages alike."""

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any

import structlog
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from django.core.exceptions import ValidationError
from django.db import DatabaseError

from backend.accounts import access, attempts, audit, second_factor
from backend.accounts.attempts import Kind
from backend.accounts.models import Action, Person
from backend.accounts.sign_in import Adapter, count
from backend.common import clock

log = structlog.get_logger(__name__)


class _OneCode:
    """Checks a code of an app or a recovery code, within the limit and once."""

    cleaned_data: dict[str, Any]
    user: Any

    def clean_code(self) -> str:
        """The code, when it is right for the first time."""
        code = str(self.cleaned_data["code"])
        tried = count(context.request, kind=Kind.CODE, who=str(self.user.pk), param="code")
        try:
            found = second_factor.accept_code(person=self.user, code=code, now=clock.now())
        except second_factor.CodeUsed:
            raise second_factor.Adapter().validation_error("code_used") from None
        if found is None:
            audit.note(action=Action.SIGN_IN_FAILED, object_type="sign-in", reason="wrong code", person_id=self.user.pk)
            raise second_factor.Adapter().validation_error("incorrect_code")
        attempts.forgive(numbers=tried)
        found.user = self.user
        self.authenticator = found
        return code


class CodeForm(_OneCode, AuthenticateForm):  # type: ignore[misc]
    """The second step of signing in."""


class CodeAgainForm(_OneCode, ReauthenticateForm):  # type: ignore[misc]
    """A code in place of the password, before second factors change."""


class EnrolAppForm(ActivateTOTPForm):  # type: ignore[misc]
    """The first code of a new authenticator app; `secret` is what the app was shown, `step` the code's."""

    step: int

    def clean_code(self) -> str:
        """The code, when it is the app's."""
        code = str(self.cleaned_data["code"])
        if second_factor.has_app(self.user):
            raise second_factor.Adapter().validation_error("already_enrolled")
        tried = count(context.request, kind=Kind.CODE, who=str(self.user.pk), param="code")
        step = second_factor.step_of(secret=self.secret, code=code, now=clock.now())
        if step is None:
            raise second_factor.Adapter().validation_error("incorrect_code")
        attempts.forgive(numbers=tried)
        self.step = step
        return code


@contextlib.contextmanager
def _understood() -> Iterator[None]:
    """What cannot be read is a wrong passkey: readers of foreign bytes stumble in many ways."""
    try:
        yield
    except (ValidationError, ImmediateHttpResponse, DatabaseError):
        raise
    except Exception as error:
        log.info("a passkey could not be read", error=type(error).__name__)
        raise second_factor.Adapter().validation_error("incorrect_code") from error


class _OnePasskey:
    """Checks a passkey's answer. It cannot be guessed, so what is wrong counts for the network alone."""

    def clean_credential(self) -> Authenticator:
        """The passkey, of a person who may sign in."""
        tried = count(context.request, kind=Kind.CODE, who=f"passkey {secrets.token_hex()}", param="credential")
        with _understood():
            found: Authenticator = super().clean_credential()  # type: ignore[misc]
        if not found.user.is_active:
            raise second_factor.Adapter().validation_error("incorrect_code")
        attempts.forgive(numbers=tried)
        access.known_now(found.user.pk)
        return found


class PasskeyForm(_OnePasskey, LoginWebAuthnForm):  # type: ignore[misc]
    """A passkey instead of address and password; it names its owner itself."""


class PasskeyStepForm(_OnePasskey, AuthenticateWebAuthnForm):  # type: ignore[misc]
    """A passkey after the password."""


class PasskeyAgainForm(_OnePasskey, ReauthenticateWebAuthnForm):  # type: ignore[misc]
    """A passkey in place of the password, before second factors change."""


class AddPasskeyForm(AddWebAuthnForm):  # type: ignore[misc]
    """A new passkey and its name."""

    def clean(self) -> dict[str, Any]:
        """Answers the challenge that was set."""
        with _understood():
            cleaned: dict[str, Any] = super().clean()
        return cleaned


def finish_enrolment(request: Any, *, person: Person, said: str) -> None:
    """What follows every new second factor: the mail, recovery codes, and a session that counts as proved."""
    Adapter(request).send_notification_mail(said, person)
    second_factor.keep_recovery_codes(person)
    second_factor.prove(request.session)
