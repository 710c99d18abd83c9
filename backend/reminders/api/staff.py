"""The doors through which the care team acts on a patient's reminders, and the plan of what will be sent."""

import uuid
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import access, reach
from backend.accounts.access import Record
from backend.accounts.door import DoorView
from backend.accounts.models import Person
from backend.common import bodies, openapi, problems, queries
from backend.common.bodies import Struct
from backend.common.problems import Problem
from backend.reminders import interventions, outlook, titles
from backend.reminders.api.ledger import ReminderView
from backend.reminders.outlook import Expected, Span
from backend.reminders.shapes import OUTWARD, PLAN, REMINDER

Reason = Annotated[str, Meta(min_length=3, max_length=500, pattern=r"^\s*[^\s\x00][^\x00]*$")]
_REFUSED = (409, problems.MEDIA_TYPE)
_DAYS = OpenApiParameter(
    "days", {"type": "integer", "minimum": 1, "maximum": outlook.MOST_DAYS, "default": outlook.DAYS}
)


class ReasonBody(Struct, kw_only=True, frozen=True):
    """Why; for colleagues, in the audit trail. The patient does not read it."""

    reason: Reason


class ResendBody(Struct, kw_only=True, frozen=True):
    """Why it is sent again, and through which channel; without one through the first of the patient's."""

    reason: Reason
    channel: Annotated[str, bodies.choice(OUTWARD)] | None = None


class _Act(ReminderView):
    roles = {"POST": reach.CLINICIAN}

    def act(self, id: uuid.UUID, act: Callable[..., Any], **asked: Any) -> Response:
        """The reminder after it. Raises a 404 or 409 problem."""
        try:
            act(reminder_id=id, actor=self.actor, now=self.now, **asked)
        except interventions.NoSuchReminder:
            raise problems.not_found() from None
        except interventions.Refused as error:
            raise Problem(status=409, code=error.code, detail=str(error)) from error
        return self.answer(id)


class Cancel(_Act):
    """The clinic takes a reminder back."""

    @extend_schema(
        operation_id="reminder_cancel",
        request={"application/json": openapi.component(ReasonBody)},
        responses={200: REMINDER, _REFUSED: openapi.problem("It was sent already, has ended, or is about safety.")},
    )
    def post(self, request: Request, id: uuid.UUID) -> Response:
        """Takes back what was not sent yet; its series goes on. Again it answers the same."""
        body = bodies.read(request, ReasonBody)
        return self.act(id, interventions.cancel, reason_text=body.reason)


class Resend(_Act):
    """The clinic has a reminder sent once more."""

    @extend_schema(
        operation_id="reminder_resend",
        request={"application/json": openapi.component(ResendBody)},
        responses={
            200: REMINDER,
            _REFUSED: openapi.problem(
                "It was answered or is not due yet, makes no sense any more, or there is no channel or no consent; "
                "`code` says which."
            ),
        },
    )
    def post(self, request: Request, id: uuid.UUID) -> Response:
        """Sends again what was sent, parked, failed or expired, after quiet hours if need be. Again is the same."""
        body = bodies.read(request, ResendBody)
        return self.act(id, interventions.resend, reason_text=body.reason, channel=body.channel)


class LetBe(_Act):
    """The clinic has looked at a delivery that was never confirmed."""

    @extend_schema(
        operation_id="reminder_let_be",
        request={"application/json": openapi.component(ReasonBody)},
        responses={200: REMINDER, _REFUSED: openapi.problem("No delivery of it is in doubt.")},
    )
    def post(self, request: Request, id: uuid.UUID) -> Response:
        """Leaves it as it is, and takes it off the list of those in doubt. Again it answers the same."""
        body = bodies.read(request, ReasonBody)
        return self.act(id, interventions.let_be, reason_text=body.reason)


class _Plan(DoorView):
    def plan(self, request: Request, record: Record) -> Response:
        """What will be sent to the patient in the next days."""
        queries.refuse_unknown(request, {"days"})
        days = queries.whole_number(request, "days", low=1, high=outlook.MOST_DAYS) or outlook.DAYS
        span = Span(self.now, days)
        expected = outlook.expected(patient=record.patient, clinic_id=record.clinic_id, span=span)
        return Response(_plan_as_json(record.patient, span, expected, with_titles=record.own))


class PatientPlan(_Plan):
    """The plan of a patient's reminders."""

    roles = {"GET": reach.CLINICIAN}

    @extend_schema(operation_id="patient_reminder_plan", parameters=[_DAYS], responses={200: PLAN})
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """What will be sent in the next days, by the rules as they are now; nothing is written. Titles are null."""
        record = access.open_record(self.actor, id)
        if record.own:
            raise problems.not_found()
        return self.plan(request, record)


class OwnPlan(_Plan):
    """The plan of one's own reminders."""

    roles = {"GET": reach.PATIENT}

    @extend_schema(operation_id="own_reminder_plan", parameters=[_DAYS], responses={200: PLAN})
    def get(self, request: Request) -> Response:
        """What will be sent in the next days, by the rules as they are now; nothing is written."""
        return self.plan(request, access.own_record(self.actor))


def _plan_as_json(patient: Person, span: Span, plan: Sequence[Expected], *, with_titles: bool) -> dict[str, Any]:
    """The dry run; titles only where the patient reads them."""
    theirs = titles.opened({each.rule.id: each.rule for each in plan}.values()) if with_titles else {}
    return {
        "patient": patient.id,
        "time_zone": patient.time_zone,
        "since": span.since,
        "until": span.until,
        "entries": [
            {
                "at": each.at,
                "due_at": each.due_at,
                "purpose": each.rule.purpose,
                "title": theirs.get(each.rule.id),
                "channels": each.channels,
                "moved_by_quiet": each.moved_by_quiet,
                "would_skip": each.would_skip,
                "rule": each.rule.id,
            }
            for each in plan
        ],
    }
