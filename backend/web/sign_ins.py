"""The own account in the browser: second factors, recovery codes, and where one is signed in."""

import uuid
from typing import Any

from allauth.account.internal.flows.reauthentication import reauthenticate_by_password
from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from backend.accounts import attempts, second_factor, sign_ins
from backend.accounts.sign_in import Adapter
from backend.common import clock
from backend.insights import words
from backend.web.account import AccountPage, way_on


class SignIns(AccountPage):
    """Everything that opens the own account, and a way to close each."""

    proved_only = True

    def get(self, request: HttpRequest) -> HttpResponseBase:
        """The lists."""
        return self._show()

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Ends one sign-in, or all others; takes a second factor away."""
        ended = request.POST.get("end", "")
        if ended == "others":
            sign_ins.end_others(person=self.person, keep=request.session.session_key)
        elif ended:
            sign_ins.end(person=self.person, id=_uuid(ended))
        elif removed := request.POST.get("remove", ""):
            return self._remove(removed)
        return HttpResponseRedirect(reverse("sign_ins"))

    def _remove(self, id: str) -> HttpResponseBase:
        if first := self.password_first():
            return first
        held = Authenticator.objects.filter(user_id=self.person.pk, pk=int(id) if id.isdecimal() else 0).first()
        if held is not None:
            try:
                second_factor.remove(person=self.person, ids=[held.pk])
            except second_factor.LastOne:
                return self._show(fault=second_factor.Adapter.error_messages["last_one"])
            said = "totp_deactivated" if held.type == Authenticator.Type.TOTP else "webauthn_removed"
            Adapter(self.request).send_notification_mail(said, self.person)
        return HttpResponseRedirect(reverse("sign_ins"))

    def _show(self, fault: str = "") -> HttpResponseBase:
        held = list(Authenticator.objects.filter(user_id=self.person.pk).order_by("created_at"))
        codes = next((row for row in held if row.type == Authenticator.Type.RECOVERY_CODES), None)
        return self.page(
            "web/sign_ins.html",
            fault=fault,
            factors=[
                {
                    "id": row.pk,
                    "name": "Authenticator app" if row.type == Authenticator.Type.TOTP else row.wrap().name,
                    "since": self._said(row.created_at),
                    "used": self._said(row.last_used_at),
                }
                for row in held
                if row.type in second_factor.PRIMARY
            ],
            codes_left=len(codes.wrap().get_unused_codes()) if codes else None,
            sign_ins=[self._row(one) for one in self._all()],
        )

    def _all(self) -> list[sign_ins.SignIn]:
        return sign_ins.of(person=self.person, current=self.request.session.session_key, now=self.now)

    def _row(self, one: sign_ins.SignIn) -> dict[str, Any]:
        return {
            "id": str(one.id),
            "what": one.what,
            "where": one.address,
            "since": self._said(one.began_at),
            "used": self._said(one.seen_at),
            "current": one.current,
        }

    def _said(self, at: Any) -> str:
        if at is None:
            return ""
        local = at.astimezone(clock.zone(self.person.time_zone))
        return f"{words.dated(local.date())}, {local:%H:%M}"


class PasswordAgain(AccountPage):
    """The password once more, before second factors change."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        """Asks."""
        return self.page("web/password_again.html", next=way_on(request))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        """Checks, and goes on."""
        adapter = Adapter(request)
        try:
            right = adapter.reauthenticate(self.person, request.POST.get("password", ""))
        except ValidationError as refusal:
            page = self.page("web/password_again.html", status=429, fault=refusal.messages[0], next=way_on(request))
            page["Retry-After"] = str(int(attempts.WINDOW.total_seconds()))
            return page
        if not right:
            return self.page("web/password_again.html", fault="This is not your password.", next=way_on(request))
        reauthenticate_by_password(request)
        return HttpResponseRedirect(way_on(request))


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.UUID(int=0)  # no sign-in has it
