"""The doors of the ledger: a person's reminders, the answers to them, and why each came or did not."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import access, reach
from backend.accounts.door import DoorView
from backend.common import bodies, etags, openapi, pages, problems, queries
from backend.common.bodies import Instant, Struct
from backend.common.problems import FieldError, Problem
from backend.reminders import answers, chain_story, story
from backend.reminders.models import Channel, Delivery, DeliveryStatus, Purpose, Reminder, Status
from backend.reminders.shapes import REMINDER, STORY, reminders_as_json

_FILTERS = (
    "patient", "status", "purpose", "channel", "delivery_status", "since", "until", "changed_after", "limit", "cursor",
)  # fmt: skip
_ENDED = (409, problems.MEDIA_TYPE)
# Everybody has reminders of their own; clinicians see those of their patients too.
OWN_AND_TEAM = {**reach.EVERYBODY, **reach.PATIENT_AND_TEAM}


class ReminderView(DoorView):
    """What the doors of reminders share."""

    def visible(self, *, listed: bool = False) -> QuerySet[Reminder]:
        """The own reminders, and for clinicians those of the records that they may open; in lists of the own teams."""
        mine = Q(person=self.actor.person)
        if self.actor.is_clinician:
            theirs = access.patients_of(self.actor) if listed else access.open_to(self.actor)
            mine |= Q(person__in=theirs, clinic_id=self.actor.here)
        return Reminder.objects.filter(mine).select_related("rule")

    def find(self, id: uuid.UUID) -> Reminder:
        """One of them. Raises a 404 problem."""
        row = self.visible().filter(id=id).first()
        if row is None:
            raise problems.not_found()
        self.actor.shown.add(row.person_id)
        return row

    def answer(self, id: uuid.UUID) -> Response:
        """The reminder as it stands."""
        row = self.find(id)
        return Response(
            reminders_as_json([row], reader_id=self.actor.person.id)[0], headers={"ETag": etags.of(row.version)}
        )


class Reminders(ReminderView):
    """The ledger: what was planned, sent, answered, done or not sent, latest first."""

    roles = {"GET": OWN_AND_TEAM}

    @extend_schema(
        operation_id="reminders_list",
        parameters=[
            OpenApiParameter("patient", OpenApiTypes.UUID, description="Whose; for clinicians"),
            OpenApiParameter("status", OpenApiTypes.STR, enum=list(Status.values)),
            OpenApiParameter("purpose", OpenApiTypes.STR, enum=list(Purpose.values)),
            OpenApiParameter("channel", OpenApiTypes.STR, enum=list(Channel.values), description="Tried through it"),
            OpenApiParameter(
                "delivery_status",
                OpenApiTypes.STR,
                enum=list(DeliveryStatus.values),
                description="With a delivery (through `channel`, if named) that stands so; `unknown`: handed over, "
                "but never confirmed",
            ),
            OpenApiParameter("since", OpenApiTypes.DATETIME, description="`due_at` from here, included"),
            OpenApiParameter("until", OpenApiTypes.DATETIME, description="`due_at` up to here, not included"),
            OpenApiParameter("changed_after", OpenApiTypes.INT64),
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
            OpenApiParameter("cursor", OpenApiTypes.STR),
        ],
        responses={200: openapi.listing(REMINDER)},
    )
    def get(self, request: Request) -> Response:
        """A page of reminders."""
        queries.refuse_unknown(request, _FILTERS)
        patient_id = queries.identifier(request, "patient")
        rows = self.visible(listed=patient_id is None)
        if patient_id is not None:
            rows = rows.filter(person=access.open_record(self.actor, patient_id).patient)
        elif self.actor.is_patient:
            rows = rows.filter(person=self.actor.person)
        wanted = {
            "status": queries.choice(request, "status", Status.values),
            "purpose": queries.choice(request, "purpose", Purpose.values),
            "due_at__gte": queries.instant(request, "since"),
            "due_at__lt": queries.instant(request, "until"),
            "change_number__gt": queries.whole_number(request, "changed_after", low=0, high=2**63 - 1),
        }
        rows = rows.filter(**{name: value for name, value in wanted.items() if value is not None})
        tried = {
            "channel": queries.choice(request, "channel", Channel.values),
            "status": queries.choice(request, "delivery_status", DeliveryStatus.values),
        }
        if tried := {name: value for name, value in tried.items() if value is not None}:
            found = Delivery.objects.filter(reminder=OuterRef("id"), **tried)
            if patient_id is None and self.actor.is_clinician:  # few of a clinic are in doubt, and an index has those
                found = found.filter(clinic_id=self.actor.here)
            rows = rows.filter(Exists(found))
        page = pages.page(rows, request=request, ordering=("-due_at", "-id"))
        self.actor.shown.update(row.person_id for row in page["results"])
        return Response({**page, "results": reminders_as_json(page["results"], reader_id=self.actor.person.id)})


class ReminderDetail(ReminderView):
    """One reminder."""

    roles = {"GET": OWN_AND_TEAM}

    @extend_schema(operation_id="reminder_read", responses={200: REMINDER})
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """The reminder with its deliveries."""
        return self.answer(id)


class Acknowledgement(ReminderView):
    """The person has seen it."""

    roles = {"POST": reach.EVERYBODY}

    @extend_schema(
        operation_id="reminder_acknowledge",
        request=None,
        responses={200: REMINDER, _ENDED: openapi.problem("It has ended already.")},
    )
    def post(self, request: Request, id: uuid.UUID) -> Response:
        """Nothing more is sent of it; again it is the same. 409 when it was never sent and never will be."""
        bodies.refuse_any(request)
        try:
            answers.acknowledge(reminder_id=id, person=self.actor.person, now=self.now)
        except answers.NoSuchReminder:
            raise problems.not_found() from None
        except answers.Ended as error:
            raise Problem(status=409, code="already_ended", detail=str(error)) from error
        return self.answer(id)


class SnoozeBody(Struct, kw_only=True, frozen=True):
    """How long a reminder is put off: exactly one of the three."""

    minutes: Annotated[int, Meta(ge=10, le=2880, description="minutes from now")] | None = None
    until: Instant | None = None
    until_done: bool | None = None

    def faults(self) -> list[FieldError]:
        """Exactly one is given."""
        given = [self.minutes is not None, self.until is not None, bool(self.until_done)]
        if sum(given) == 1 and self.until_done is not False:
            return []
        return [FieldError("", "exactly_one", 'Send one of {"minutes": n}, {"until": instant}, {"until_done": true}.')]


class Snooze(ReminderView):
    """The person wants it later."""

    roles = {"POST": reach.EVERYBODY}

    @extend_schema(
        operation_id="reminder_snooze",
        request={"application/json": openapi.component(SnoozeBody)},
        responses={200: REMINDER, _ENDED: openapi.problem("It has ended already, or is not due yet.")},
    )
    def post(self, request: Request, id: uuid.UUID) -> Response:
        """Puts it off for ten minutes up to the end of the next day, or keeps it quiet until it is done."""
        body = bodies.read(request, SnoozeBody)
        # In UTC, since the database takes no offset beyond 16 hours, and ISO 8601 does.
        until: datetime | None = body.until.astimezone(UTC) if body.until else None
        if body.minutes is not None:
            until = self.now + timedelta(minutes=body.minutes)
        try:
            answers.snooze(reminder_id=id, person=self.actor.person, until=until, now=self.now)
        except answers.NoSuchReminder:
            raise problems.not_found() from None
        except answers.Ended as error:
            raise Problem(status=409, code="already_ended", detail=str(error)) from error
        except answers.NotYet as error:
            raise Problem(status=409, code="not_due_yet", detail=str(error)) from error
        except answers.CannotWait as error:
            pointer = "/minutes" if body.minutes is not None else "/until" if body.until is not None else "/until_done"
            raise problems.invalid(FieldError(pointer, "cannot_wait", str(error))) from error
        return self.answer(id)


class Explanation(ReminderView):
    """What became of a reminder, in words."""

    roles = {"GET": OWN_AND_TEAM}

    @extend_schema(operation_id="reminder_explain", responses={200: STORY})
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """The story, for the patient and the care team alike."""
        row = self.find(id)
        chain = chain_story.tell(row, rule=row.rule, reader_id=self.actor.person.id)
        deliveries = Delivery.objects.filter(reminder=row)
        sentences = story.tell(reminder=row, rule=row.rule, deliveries=deliveries, chain=chain)
        told: dict[str, Any] = {"id": row.id, "status": row.status, "reason": row.reason or None}
        return Response({**told, "sentences": sentences, "text": " ".join(sentences)})
