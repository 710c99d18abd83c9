"""The door for a notification's own action: no sign-in, but the token that was pushed to this very device."""

from typing import Annotated, Any

from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.accounts import access
from backend.accounts.models import Device
from backend.common import bodies, client_address, clock, openapi, problems
from backend.common.bodies import Struct
from backend.common.problems import Problem
from backend.reminders import answer_tokens, answers, receipts
from backend.reminders.models import Channel, Reminder

_ANSWERED = {
    "type": "object",
    "required": ["id", "status"],
    "properties": {"id": {"type": "string", "format": "uuid"}, "status": {"type": "string"}},
}


class AnswerBody(Struct, kw_only=True, frozen=True):
    """What the notification carried, and what became of it: its action was used, or the phone has shown it."""

    token: Annotated[str, Meta(min_length=1, max_length=300)]
    what: Annotated[str, bodies.choice(["seen", "shown"])] = "seen"


class NotificationAnswers(APIView):
    """Acknowledging a reminder from its notification, also when the sign-in on this device has ended."""

    permission_classes = (AllowAny,)
    authentication_classes = ()

    @extend_schema(
        operation_id="notification_acknowledge",
        request={"application/json": openapi.component(AnswerBody)},
        responses={
            200: _ANSWERED,
            404: openapi.problem("The token is none of ours, or its device takes no notifications any more."),
            409: openapi.problem("The reminder has ended already."),
        },
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """`seen`: the person has seen it; nothing more is sent of it. `shown`: it is on the screen, no more than that.

        Again is the same as once.
        """
        body = bodies.read(request, AnswerBody)
        try:
            held = answer_tokens.read(body.token)
        except answer_tokens.Invalid:
            raise problems.not_found("This token answers no reminder.") from None
        request_id, address = getattr(request, "request_id", ""), client_address.address_of(request)
        purpose = f"POST {type(self).__name__}"
        with access.acting_as(held.person_id, None, purpose, held.device_id, request_id, address=address):
            return Response(self._answered(held, body.what))

    def _answered(self, held: answer_tokens.Held, what: str) -> dict[str, Any]:
        mine = Device.objects.filter(id=held.device_id, person_id=held.person_id, push__isnull=False)
        device = mine.select_related("person").first()
        if device is None or not device.person.is_active:
            raise problems.not_found("This token answers no reminder.")
        now = clock.now()
        if what == "shown":
            row = Reminder.objects.filter(id=held.reminder_id, person=device.person).first()
            if row is None:
                raise problems.not_found("This token answers no reminder.")
            receipts.delivered(reminder_id=row.id, channel=Channel.PUSH, now=now)
            return {"id": row.id, "status": row.status}
        try:
            row = answers.acknowledge(reminder_id=held.reminder_id, person=device.person, now=now)
        except answers.NoSuchReminder:
            raise problems.not_found("This token answers no reminder.") from None
        except answers.Ended as error:
            raise Problem(status=409, code="already_ended", detail=str(error)) from error
        receipts.opened(reminder_id=row.id, channel=Channel.PUSH, now=now)
        return {"id": row.id, "status": row.status}
