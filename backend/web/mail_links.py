"""The page behind a link in a mail. Opening it changes nothing, since mail scanners open links; its buttons do."""

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from backend.accounts import access
from backend.accounts.models import Person
from backend.common import client_address, clock
from backend.reminders import answers, links, mailed
from backend.reminders.links import Act
from backend.reminders.mailed import Found
from backend.web import errors
from backend.web.account import alone

_INSTANT = "%Y%m%dT%H%MZ"
_TEMPLATES = {Act.SEEN: "web/mail_seen.html", Act.LATER: "web/mail_later.html", Act.STOP: "web/mail_stop.html"}
_GONE = {
    "headline": "This link is over",
    "text": "Links in mails work for a while only. What they were about is in the app.",
}
_WRONG = {
    "headline": "This link leads nowhere",
    "text": "Perhaps the mail program cut it in two. What it was about is in the app.",
}


class _NoInstant(ValueError):
    """What was sent is no instant."""


def _instant(text: str) -> datetime:
    try:
        return datetime.strptime(text, _INSTANT).replace(tzinfo=UTC)
    except ValueError:
        raise _NoInstant from None


# Nobody is signed in here and no cookie is read: the signed link itself proves that a request is meant (RFC 8058 has
# mail providers post to it from their own servers).
@method_decorator([csrf_exempt, never_cache], name="dispatch")
class MailLink(View):
    """GET shows what the link is for, POST does it."""

    http_method_names = ["get", "head", "post", "options"]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The page, for no search engine."""
        self.now = clock.now()
        try:
            response = super().dispatch(request, *args, **kwargs)
        except links.LinkIsOver:
            response = errors.page(request, status=410, link_href="", **_GONE)
        except links.WrongLink:
            response = errors.page(request, status=404, link_href="", **_WRONG)
        response["X-Robots-Tag"] = "noindex"
        return response

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        """Where it stands, and the buttons."""
        found = mailed.find(token, now=self.now)
        with access.acting_as(found.person_id, found.clinic_id, "look at a link in a mail"):
            return self._page(found)

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        """Does what the pressed button says, and shows what became of it; again is the same as once."""
        found = mailed.find(token, now=self.now)
        with access.acting_as(found.person_id, found.clinic_id, "look at a link in a mail"):
            person = Person.objects.filter(id=found.person_id).first()
            roles = person.open_roles.get(found.clinic_id, frozenset()) if person and found.clinic_id else frozenset()
        with access.acting_as(
            found.person_id,
            found.clinic_id,
            "answer by a link in a mail",
            request_id=getattr(request, "request_id", ""),
            roles=roles,
            address=client_address.address_of(request),
        ):
            try:
                return self._page(found, **self._do(found))
            except answers.Ended:
                return self._page(found, status=409)
            except (answers.CannotWait, answers.NotYet, _NoInstant):
                return self._page(found, status=400, fault="That time is not possible; take one of these.")

    def _do(self, found: Found) -> dict[str, Any]:
        given = self.request.POST
        if found.act is Act.SEEN:
            mailed.acknowledge(found, now=self.now)
            return {}
        if found.act is Act.LATER:
            mailed.put_off(found, until=_instant(given.get("until", "")), now=self.now)
            return {}
        if given.get("do") == "undo":
            mailed.resume(found, purposes=given.get("of", "").split(), now=self.now)
            return {"again": True}
        every = given.get("do") == "every"
        return {"changed": " ".join(mailed.stop(found, every=every, now=self.now)), "every": every, "just_now": True}

    def _page(self, found: Found, *, status: int = 200, **more: Any) -> HttpResponse:
        view = mailed.look(found, now=self.now)
        laters = [{"words": each.words, "value": each.until.strftime(_INSTANT)} for each in view.laters]
        context = {"view": view, "laters": laters, **more}
        return alone(self.request, _TEMPLATES[found.act], status=status, **context)
