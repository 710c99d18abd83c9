"""The field that sign-up asks for beside address and password."""

from typing import Any

from django import forms

from backend.accounts import invitations, people
from backend.accounts.models import Invitation
from backend.common import clock


class InvitationForm(forms.Form):
    """The code of the invitation; it must be open and belong to the same address."""

    invitation = forms.CharField(max_length=64)

    def clean(self) -> dict[str, Any]:
        """Finds the invitation."""
        cleaned = super().clean() or {}
        email = cleaned.get("email", "")
        if self.has_error("email", "email_taken"):
            # allauth would tell it to everyone who asks.
            del self.errors["email"]
            email = str(self.data["email"]).strip()
        try:
            self.found: Invitation = invitations.find(code=cleaned.get("invitation", ""), email=email, now=clock.now())
        except invitations.NotInvited as error:
            self.add_error("invitation", str(error))
        else:
            # Only to someone with a code that was sent to this address.
            if people.has_account(email=self.found.email):
                self.add_error("invitation", invitations.HAS_ACCOUNT)
        return cleaned

    def signup(self, request: Any, user: Any) -> None:
        """allauth's last step; everything was done when the person was saved."""
