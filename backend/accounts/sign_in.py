"""Signing in: allauth's flows with our tokens, our mail outbox and invitations as the only way to join."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal.httpkit import is_headless_request
from allauth.headless.internal.restkit.response import APIResponse, ErrorResponse
from allauth.headless.internal.sessionkit import lookup_session
from allauth.headless.tokens.strategies.sessions import SessionTokenStrategy
from django.conf import settings
from django.contrib import auth
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ValidationError
from django.db import connection
from django.http import HttpRequest
from django.template.loader import render_to_string
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from backend.accounts import access, attempts, invitations, outbox, sessions
from backend.accounts.models import STAFF, Person
from backend.accounts.sessions import token_of
from backend.common import clock
from backend.common.client_address import address_of


class Backend(AuthenticationBackend):  # type: ignore[misc]
    """allauth's way to check a password; the person of a session is read in the person's own context."""

    def get_user(self, user_id: Any) -> Person | None:
        """The person with the roles held now, or None."""
        if connection.in_atomic_block:
            return self._read(user_id)
        with access.acting_as(user_id, None, "session"):
            return self._read(user_id)

    def _read(self, user_id: Any) -> Person | None:
        person: Person | None = super().get_user(user_id)
        if person is not None:
            person.open_roles  # noqa: B018 - read here, since later there is another context or none
        return person


class Tokens(SessionTokenStrategy):  # type: ignore[misc]
    """A token is the key of a session in the database: it dies at sign-out and when the password changes."""

    def get_session_token(self, request: HttpRequest) -> str | None:
        """Reads the token wherever a client may send it."""
        return token_of(request)

    def lookup_session(self, session_token: str) -> SessionBase | None:
        """One query instead of two; None when unknown, expired, or no key at all."""
        return lookup_session(session_token) if session_token.isascii() and session_token.isalnum() else None


class TokenAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer <session token>` for phones, scripts and other programs."""

    def authenticate(self, request: Request) -> tuple[Person, SessionBase] | None:
        """The person and the session, None without a token.

        Raises 401 for a token that is unknown, expired or only half signed in.
        """
        token = token_of(request)
        if token is None:
            return None
        found = sessions.identify(token=token, now=clock.now())
        if found is None:
            raise exceptions.AuthenticationFailed(
                "The token is unknown or has expired; sign in again.", code="token_invalid"
            )
        return found

    def authenticate_header(self, request: Request) -> str:
        """Makes a missing token a 401 and not a 403."""
        return 'Bearer realm="afterglow"'


class BrowserAuthentication(authentication.SessionAuthentication):
    """The console's own requests: session cookie with CSRF token."""

    def authenticate_header(self, request: Request) -> str:
        """Signed out in the browser is a 401 as well."""
        return 'Bearer realm="afterglow"'


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Where allauth asks us."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": "This e-mail address and password do not belong together.",
        "too_many_login_attempts": "Too many attempts. Wait five minutes, then try again.",
    }

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address that limits and audit go by as well."""
        return address_of(request)

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Open, since the form itself asks for an invitation."""
        return True

    def save_user(self, request: HttpRequest, user: Person, form: Any, commit: bool = True) -> Person:
        """The invited person with role and care team, or nothing of it.

        An invitation that was used or revoked in this very moment is answered as one that never was open.
        """
        invitation = form.found
        password = form.cleaned_data.get("password1") or form.cleaned_data["password"]
        try:
            with access.machine_of(invitation.clinic_id):
                person = invitations.accept(invitation=invitation, password=password, now=clock.now())
        except invitations.NotInvited as error:
            form.add_error("invitation", str(error))
            raise ImmediateHttpResponse(ErrorResponse(request, input=form)) from error
        access.known_now(person.pk)
        return person

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Into the outbox: the row is written before the attempt."""
        # The words are ours: templates/accounts/mail/, by allauth's name for the mail.
        template = f"accounts/mail/{template_prefix.rpartition('/')[2]}"
        subject, text = (render_to_string(f"{template}_{part}.txt", context).strip() for part in ("subject", "message"))
        outbox.put(recipient=email, subject=subject, text=text, now=clock.now())

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Counts the attempt, in the cache and in the database; at the limit the app is told 429, the form in words."""
        try:
            super().pre_authenticate(request, **credentials)
            self._attempt = attempts.begin(address=credentials["email"], now=clock.now())
        except (ValidationError, attempts.Locked):
            refusal = self.validation_error("too_many_login_attempts")
            if not is_headless_request(request):
                raise refusal from None
            fault = {"message": refusal.message, "code": refusal.code, "param": "password"}
            answer = APIResponse(request, errors=[fault], status=429)
            answer["Retry-After"] = str(int(attempts.WINDOW.total_seconds()))
            raise ImmediateHttpResponse(answer) from None

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """The person, or None.

        allauth's own would tell one who was deactivated that the password was right; here that is a wrong one.
        """
        self.pre_authenticate(request, **credentials)
        person = auth.authenticate(request, **credentials)
        AuthenticationBackend.unstash_authenticated_user()
        if person is None:
            self.authentication_failed(request, **credentials)
            return None
        self._rollback_login_failed_rl_usage()
        attempts.forgive(number=self._attempt)
        access.known_now(person.pk)
        return person

    def set_password(self, user: Person, password: str) -> None:
        """A new password, proved by the old one or by a code in a mail: earlier attempts no longer count."""
        super().set_password(user, password)
        self._delete_login_attempts_cached_email(self.request, email=user.email)
        attempts.forget(address=user.email)

    def post_login(self, request: HttpRequest, user: Person, **kwargs: Any) -> Any:
        """Staff are signed out after half a day, patients stay for 90 days."""
        limit_session(session=request.session, person=user)
        return super().post_login(request, user, **kwargs)


def limit_session(*, session: SessionBase, person: Person) -> None:
    """A session of someone who works at a clinic ends after half a day."""
    if any(role in STAFF for held in person.open_roles.values() for role in held):
        session.set_expiry(int(settings.STAFF_SESSION_AGE.total_seconds()))
