"""The OpenAPI document and the page on which people read it."""

from functools import cache
from typing import Any

from csp.decorators import csp_update
from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.views.generic import TemplateView
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request


class Schema(SpectacularAPIView):
    """The document itself, as YAML, or as JSON when asked; it takes half a second, so each process makes it once."""

    permission_classes = (AllowAny,)
    authentication_classes = ()

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        """The same to everyone, whatever stands behind the question mark."""
        renderer = request.accepted_renderer
        response = HttpResponse(_written(renderer.media_type), content_type=renderer.media_type)
        response["Content-Disposition"] = f'inline; filename="Afterglow.{renderer.format}"'
        response["Cache-Control"] = "max-age=3600"
        return response


@cache
def _written(media_type: str) -> Any:
    renderer = next(kind for kind in Schema.renderer_classes if kind.media_type == media_type)
    generator: Any = Schema.generator_class()
    return renderer().render(generator.get_schema(request=None, public=True), renderer_context={})


# What the codes of our problem documents mean, and the remedy.
PROBLEMS = (
    ("invalid", "Fields, parameters or headers have faults; errors names each with what to do."),
    ("cannot_be_stored", "A value is of a kind or size that the database refuses; nothing was stored."),
    ("bad_request", "The request cannot be understood, such as one for a host that is not ours."),
    ("not_authenticated", "Sign in and send the token as Authorization: Bearer."),
    ("token_invalid", "The token is unknown or has expired; sign in again."),
    ("session_ended", "The sign-in ended, since nobody used it or its day is over; sign in again."),
    ("second_factor_required", "Staff sign in with a second factor; set one up, below auth/ or in the console."),
    ("permission_denied", "Your role may not do this."),
    ("no_clinic", "You have no role in any clinic; ask a clinic's administrator."),
    ("not_a_member", "You have no role in the clinic that X-Clinic names."),
    ("clinic_required", "You work at several clinics; name one in the header X-Clinic."),
    ("not_found", "There is no such record, or it is not yours to see; the two look alike on purpose."),
    ("method_not_allowed", "This address does not know the verb."),
    ("already_ended", "It has ended already, and what has ended does not change."),
    ("already_accepted", "The invitation was used."),
    ("already_member", "Someone with this address has a role in this clinic."),
    ("already_a_caregiver", "You invited this person already."),
    ("keys_unavailable", "Notes cannot be sealed now, so nothing was stored; keep the record and send it again later."),
    ("not_the_author", "Only its author changes an annotation; write one of your own beside it."),
    ("break_glass_required", "You are not on the care team; in an emergency open the record with a reason."),
    ("last_administrator", "A clinic keeps at least one administrator; name another first."),
    ("on_the_team", "You are on the care team, so the record is open to you without an emergency."),
    ("consent_required", "This needs the patient's agreement: GET consents, agree, then send the same again."),
    ("version_changed", "Another version of the words is asked for by now; read it and agree to that one."),
    ("export_expired", "The link has expired and the file is gone; ask for a new export."),
    ("export_gone", "The file is gone; ask for a new export."),
    ("not_now", "The request for erasure is in a state that does not allow this."),
    ("patient_elsewhere", "Another clinic cares for the patient too; only the patient can ask for erasure."),
    ("not_set_up", "This installation does not have it; ask whoever runs it."),
    ("no_code", "No code is waiting, or its time is over: ask for a new one."),
    ("not_due_yet", "The reminder is not due yet, so there is nothing to snooze."),
    ("already_sent", "The reminder was sent; what was sent cannot be taken back."),
    ("on_its_way", "The reminder is on its way just now; see first what becomes of it."),
    ("not_sent_yet", "The reminder was not sent yet; it leaves by itself at its time."),
    ("put_off", "The patient put the reminder off; it comes again as they asked."),
    ("safety", "A message about safety is answered by its alert; it cannot be changed here."),
    ("ended", "What the reminder is about was called off or ended."),
    ("moved", "What the reminder is about was moved; another reminder takes its place."),
    ("too_late", "The reminder makes no sense any more: what it announces has begun, or a later one has come."),
    ("quiet_hours", "The patient's quiet hours end after what the reminder announces has begun."),
    ("opted_out", "The patient has switched off messages of this kind."),
    ("in_session", "A session is going on; send it when that is over."),
    ("no_channel", "The patient has not chosen this channel, or none; the reminder is in the inbox."),
    ("no_consent", "The patient has not agreed to messages through this channel; the reminder is in the inbox."),
    ("nothing_in_doubt", "No delivery of the reminder is in doubt."),
    ("not_begun", "Nothing of it has begun yet."),
    ("deleted", "The record was deleted; a PUT with If-Match and the version in the answer brings it back."),
    ("stale", "The record has changed since the version in If-Match; current holds it. Merge, and send again."),
    ("too_large", "Send less at a time: 1 MiB, in a batch 5 MiB."),
    ("unsupported_media_type", "Send JSON with Content-Type: application/json."),
    ("too_many_requests", "Wait for as many seconds as Retry-After says; 20 a second and 600 a minute are let in."),
    ("too_many_attempts", "Too many wrong codes; wait for as many seconds as Retry-After says."),
    ("try_again", "Two changes met; nothing was stored. Send the same again."),
    ("restoring", "A backup is being brought back; nothing was stored. Send the same again in half a minute."),
    ("database_away", "The database is away for a moment; nothing was stored. Send the same again."),
    ("server_error", "That was our fault; nothing was stored."),
)


class Problems(TemplateView):
    """Where the `type` of every problem document leads."""

    template_name = "api_problems.html"
    extra_context = {"problems": PROBLEMS}


@method_decorator(csp_update({"style-src": ["'unsafe-inline'"]}), name="dispatch")
class Docs(SpectacularSwaggerSplitView):
    """The document as a page; its viewer writes inline styles, so this page alone may. Scripts never."""

    permission_classes = (AllowAny,)
    authentication_classes = ()
    template_name = "api_docs.html"
