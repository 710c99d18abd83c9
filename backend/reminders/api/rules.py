"""The doors of one's own reminders: series that the patient sets, such as the hour of the day's check-in."""

import uuid
from datetime import datetime
from typing import Annotated

from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import counters, reach
from backend.accounts.door import DoorView
from backend.accounts.models import Person
from backend.common import bodies, clock, etags, openapi, pages, problems, queries
from backend.common.bodies import Line, Struct, ZoneName
from backend.common.problems import FieldError, Problem
from backend.reminders import planning, walltime
from backend.reminders.models import Purpose, Rule
from backend.reminders.rrule import YEARS
from backend.reminders.shapes import RULE, rules_as_json

READ_ONLY = frozenset({"next_at", "version"})
_START = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?$(?!\n)"


class RuleBody(Struct, kw_only=True, frozen=True):
    """A series of one's own; without a zone it follows the person from zone to zone."""

    title: Line
    rrule: Annotated[
        str, Meta(min_length=1, max_length=4000, pattern="^[A-Za-z0-9=;,+:/\n-]*$", examples=["FREQ=DAILY"])
    ]
    start: Annotated[
        str, Meta(pattern=_START, description="Local time in the rule's zone", examples=["2026-11-24T21:00:00"])
    ]
    time_zone: ZoneName | None = None
    purpose: Annotated[str, bodies.choice([Purpose.OWN, Purpose.CHECK_IN])] = Purpose.OWN
    nudge: (
        Annotated[bool, Meta(description="One more an hour later when nobody answered; absent: as the profile says")]
        | None
    ) = None
    id: uuid.UUID | None = None

    def faults(self) -> list[FieldError]:
        """The start is a day that exists, within reach."""
        try:
            year = datetime.fromisoformat(self.start).year
        except ValueError:
            return [FieldError("/start", "invalid", "start is not a local time such as 2026-11-24T21:00:00.")]
        if year not in YEARS:
            return [FieldError("/start", "out_of_range", "start must lie between 1900 and 2200.")]
        return []

    def start_in(self, zone_name: str) -> datetime:
        """The start as wall time; one that was sent with an offset is what the clocks in the zone show then."""
        start = datetime.fromisoformat(self.start)
        return start if start.tzinfo is None else walltime.wall(start, clock.zone(zone_name))


class ReminderRules(DoorView):
    """The series that the patient set."""

    roles = {"GET": reach.PATIENT}

    @extend_schema(
        operation_id="reminder_rules_list",
        parameters=[
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
            OpenApiParameter("cursor", str),
        ],
        responses={200: openapi.listing(RULE)},
    )
    def get(self, request: Request) -> Response:
        """A page of the series that have not ended, newest first."""
        queries.refuse_unknown(request, {"limit", "cursor"})
        rows = Rule.objects.filter(person=self.actor.person, rrule__isnull=False, ended_at__isnull=True)
        page = pages.page(rows, request=request, ordering=("-created_at", "id"))
        return Response({**page, "results": rules_as_json(page["results"])})


class ReminderRule(DoorView):
    """One series of one's own."""

    roles = {"GET": reach.PATIENT, "PUT": reach.PATIENT, "DELETE": reach.PATIENT}

    @extend_schema(operation_id="reminder_rule_read", responses={200: RULE})
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """The series and its next reminder."""
        row = self._find(id)
        if row.ended_at is not None:
            raise _gone(row)
        return _answer(row)

    @extend_schema(
        operation_id="reminder_rule_put",
        request={"application/json": openapi.component(RuleBody)},
        parameters=[openapi.IF_MATCH],
        responses={200: RULE, 201: RULE},
    )
    def put(self, request: Request, id: uuid.UUID) -> Response:
        """Creates or replaces; what was not sent yet is planned anew. The same request twice is the same as once."""
        body = bodies.read(request, RuleBody, ignored=READ_ONLY)
        if body.id not in {None, id}:
            raise problems.invalid(FieldError("/id", "mismatch", "The id in the body must equal the one in the path."))
        person = self._check_base(request, id)
        try:
            row, new = planning.set_rule(
                id=id,
                person=person,
                purpose=body.purpose,
                rrule=body.rrule,
                start=body.start_in(body.time_zone or person.time_zone),
                time_zone=body.time_zone,
                title=body.title,
                clinic_id=self.actor.clinic_id,
                nudge=body.nudge,
                refuse_quiet=True,
                now=self.now,
            )
        except planning.RuleError as error:
            raise problems.invalid(FieldError("/rrule", "unsupported_rule", str(error))) from error
        except planning.NeverHappens as error:
            raise problems.invalid(FieldError("/rrule", "never_happens", str(error))) from error
        except planning.AlwaysQuiet as error:
            pointer = "/rrule" if error.by_rule else "/start"
            raise problems.invalid(FieldError(pointer, "always_quiet", str(error))) from error
        except planning.TakenRuleId:
            raise problems.not_found() from None
        return _answer(row, status=201 if new else 200)

    @extend_schema(operation_id="reminder_rule_delete", parameters=[openapi.IF_MATCH], responses={204: None})
    def delete(self, request: Request, id: uuid.UUID) -> Response:
        """Ends the series. If-Match with the tombstone's version on a PUT brings it back."""
        self._check_base(request, id)
        row = self._find(id)
        if not planning.end_rule(rule_id=row.id, person_id=self.actor.person.id, now=self.now):
            raise _gone(row)
        row.refresh_from_db()
        return Response(status=204, headers={"ETag": etags.of(row.version)})

    def _find(self, id: uuid.UUID) -> Rule:
        row = Rule.objects.filter(id=id, person=self.actor.person, rrule__isnull=False).first()
        if row is None:
            raise problems.not_found()
        return row

    def _check_base(self, request: Request, id: uuid.UUID) -> Person:
        """The person as read under the lock, so that nothing changes between this check and the write."""
        base = etags.if_match(request)
        counters.lock(patient_id=self.actor.person.id)
        row = Rule.objects.filter(id=id, person=self.actor.person, rrule__isnull=False).first()
        if row is None:
            if base is not None:
                raise problems.not_found()
        elif base is None:
            if row.ended_at is not None:
                raise _gone(row)
        elif base not in {etags.ANY, row.version}:
            raise etags.stale("The rule", current=rules_as_json([row])[0])
        return Person.objects.get(id=self.actor.person.id)


def _answer(row: Rule, *, status: int = 200) -> Response:
    return Response(rules_as_json([row])[0], status=status, headers={"ETag": etags.of(row.version)})


def _gone(row: Rule) -> Problem:
    return etags.deleted("This series was ended.", version=row.version, at=row.ended_at)
