"""Signing in: allauth's flows with our tokens, our mail outbox and invitations as the only way to join."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.headless.internal.sessionkit import lookup_session
from allauth.headless.tokens.strategies.sessions import SessionTokenStrategy
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from backend.accounts import access, invitations, outbox, sessions
from backend.accounts.models import STAFF, Membership, Person
from backend.common import clock


def token_of(request: HttpRequest | Request) -> str | None:
    """The session token of `Authorization: Bearer …`, or of allauth's own header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("X-Session-Token")


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

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Open, since the form itself asks for an invitation."""
        return True

    def save_user(self, request: HttpRequest, user: Person, form: Any, commit: bool = True) -> Person:
        """The invited person with role and care team, or nothing of it."""
        invitation = form.found
        password = form.cleaned_data.get("password1") or form.cleaned_data["password"]
        with access.acting_as(None, invitation.clinic_id, "accept invitation"):
            return invitations.accept(
                invitation=invitation,
                password=password,
                now=clock.now(),
            )

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Into the outbox: the row is written before the attempt."""
        message = self.render_mail(template_prefix, email, {"request": self.request, "email": email, **context})
        with access.acting_as(None, None, "mail"):
            outbox.put(recipient=email, subject=str(message.subject), text=str(message.body), now=clock.now())

    def post_login(self, request: HttpRequest, user: Person, **kwargs: Any) -> Any:
        """Staff are signed out after half a day, patients stay for 90 days."""
        if Membership.objects.filter(person=user, role__in=STAFF, ended_at__isnull=True).exists():
            request.session.set_expiry(int(settings.STAFF_SESSION_AGE.total_seconds()))
        return super().post_login(request, user, **kwargs)
