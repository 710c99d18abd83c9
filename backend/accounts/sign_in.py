"""Signing in: allauth's flows with our tokens, our mail outbox and invitations as the only way to join."""

from typing import Any, NoReturn

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal.httpkit import is_headless_request
from allauth.headless.internal.restkit.response import APIResponse, ErrorResponse
from allauth.headless.internal.sessionkit import lookup_session
from allauth.headless.tokens.strategies.sessions import SessionTokenStrategy
from django.contrib import auth
from django.contrib.sessions.backends.base import SessionBase
from django.db import connection
from django.http import HttpRequest
from django.template.loader import render_to_string
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from backend.accounts import access, activity, arrivals, attempts, audit, invitations, outbox, sessions
from backend.accounts.attempts import Kind
from backend.accounts.models import Action, Person, Session
from backend.accounts.sessions import token_of
from backend.common import clock
from backend.common.client_address import address_of, network_of

# A change of second factors asks for the password again, unless one has just signed in.
JUST_NOW_SECONDS = 300


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
        now = clock.now()
        found = sessions.identify(token=token, now=now)
        if found is None:
            if sessions.is_over(token=token, now=now):
                raise exceptions.AuthenticationFailed(
                    "This sign-in has ended, since nobody used it or its day is over; sign in again.",
                    code="session_ended",
                )
            raise exceptions.AuthenticationFailed(
                "The token is unknown or has expired; sign in again.", code="token_invalid"
            )
        activity.note(request=request, session=found[1], person=found[0], now=now)
        return found

    def authenticate_header(self, request: Request) -> str:
        """Makes a missing token a 401 and not a 403."""
        return 'Bearer realm="afterglow"'


class BrowserAuthentication(authentication.SessionAuthentication):
    """The console's own requests: session cookie with CSRF token."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """The person and the session, None when the browser is signed out. Raises 403 without CSRF token."""
        found = super().authenticate(request)
        if found is None:
            return None
        person, session = found[0], request._request.session
        activity.note(request=request, session=session, person=person, now=clock.now())
        return person, session

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
        invitations.agree(person=person, invitation=invitation, now=clock.now())
        return person

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Into the outbox: the row is written before the attempt."""
        # The words are ours: templates/accounts/mail/, by allauth's name for the mail.
        template = f"accounts/mail/{template_prefix.rpartition('/')[2]}"
        subject, text = (render_to_string(f"{template}_{part}.txt", context).strip() for part in ("subject", "message"))
        outbox.put(recipient=email, subject=subject, text=text, now=clock.now())

    def send_notification_mail(self, template_prefix: str, user: Person, *args: Any, **kwargs: Any) -> None:
        """Tells the person what changed about the account; it may not have been the person who did it."""
        if said := _CHANGES.get(template_prefix.rpartition("/")[2]):
            text = render_to_string(
                "accounts/mail/account_changed_message.txt",
                {"said": said, "at": clock.now().astimezone(clock.zone(user.time_zone)), "zone": user.time_zone},
            )
            outbox.put(recipient=user.email, subject="Your account was changed", text=text, now=clock.now())

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: our pages say themselves what happened, and a message that no page shows travels on for ever."""

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Counts the attempt; at the limit the app is told 429, the form in words."""
        self._attempt = count(request, kind=Kind.PASSWORD, who=credentials["email"], param="password")

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Whether to ask for the password again before second factors change."""
        records = get_authentication_records(self.request, self.request.user)
        return not records or clock.now().timestamp() - records[-1]["at"] > JUST_NOW_SECONDS

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """The person, or None.

        allauth's own would tell one who was deactivated that the password was right; here that is a wrong one.
        """
        self.pre_authenticate(request, **credentials)
        person = auth.authenticate(request, **credentials)
        AuthenticationBackend.unstash_authenticated_user()
        if person is None:
            audit.note(action=Action.SIGN_IN_FAILED, object_type="sign-in", reason="wrong password or unknown address")
            self.authentication_failed(request, **credentials)
            return None
        attempts.forgive(numbers=self._attempt)
        access.known_now(person.pk)
        return person

    def set_password(self, user: Person, password: str) -> None:
        """A new password, proved by the old one or by a code in a mail: earlier attempts no longer count.

        Every sign-in of the person ends.
        """
        super().set_password(user, password)
        attempts.forget(kind=Kind.PASSWORD, who=user.email)
        Session.objects.filter(person=user).delete()

    def post_login(self, request: HttpRequest, user: Person, **kwargs: Any) -> Any:
        """The session learns on which device, since when and how proved; a new device is told to the person."""
        audit.note(action=Action.SIGN_IN, object_type="sign-in", person_id=user.pk)
        methods = {record.get("method") for record in get_authentication_records(request, user)}
        arrivals.note(
            request,
            person=user,
            second_factor_proved="mfa" in methods,
            is_app=bool(is_headless_request(request)),
            joining=bool(kwargs.get("signup")),
            now=clock.now(),
        )
        return super().post_login(request, user, **kwargs)

    def logout(self, request: HttpRequest) -> None:
        """Ends the session."""
        if request.user.is_authenticated:
            audit.note(action=Action.SIGN_OUT, object_type="sign-in", person_id=request.user.pk)
        super().logout(request)


_CHANGES = {
    "password_changed": "The password was changed.",
    "password_reset": "A new password was chosen, with a code from a mail.",
    "password_set": "A password was set.",
    "totp_activated": "An authenticator app was added as second factor.",
    "totp_deactivated": "The authenticator app was removed as second factor.",
    "webauthn_added": "A passkey was added.",
    "webauthn_removed": "A passkey was removed.",
    "recovery_codes_generated": "New recovery codes were made; the earlier ones open nothing any more.",
}


def count(request: HttpRequest, *, kind: Kind, who: str, param: str) -> tuple[int, ...]:
    """Counts an attempt of this request. At the limit raises the 429 for an app, a ValidationError for a form."""
    try:
        return attempts.begin(kind=kind, who=who, network=network_of(address_of(request)), now=clock.now())
    except attempts.Locked:
        refuse_locked(request, param=param)


def refuse_locked(request: HttpRequest, *, param: str) -> NoReturn:
    """The same refusal for every limit of signing in."""
    audit.note(action=Action.SIGN_IN_FAILED, object_type="sign-in", reason="too many attempts")
    refusal = Adapter(request).validation_error("too_many_login_attempts")
    if not is_headless_request(request):
        raise refusal from None
    fault = {"message": refusal.message, "code": refusal.code, "param": param}
    answer = APIResponse(request, errors=[fault], status=429)
    answer["Retry-After"] = str(int(attempts.WINDOW.total_seconds()))
    raise ImmediateHttpResponse(answer) from None
