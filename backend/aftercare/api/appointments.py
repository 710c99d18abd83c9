"""The doors of appointments: clinicians of the care team make them, patients see, confirm and ask to move them."""

import uuid
from datetime import datetime
from typing import Annotated, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from msgspec import Meta, field
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import access, notes, reach
from backend.accounts.door import DoorView
from backend.accounts.isolation import Share
from backend.accounts.models import Clinic
from backend.aftercare import appointments
from backend.aftercare.api.appointment_shapes import APPOINTMENT, as_json
from backend.aftercare.models import Appointment, AppointmentKind, AppointmentStatus
from backend.common import bodies, etags, openapi, pages, problems, queries
from backend.common.bodies import Instant, Line, Struct, Text, ZoneName
from backend.common.problems import FieldError, Problem
from backend.reminders import recurrence

READ_ONLY = frozenset(
    {
        "status",
        "occurrences",
        "version",
        "change_number",
        "received_at",
        "updated_at",
        "deleted_at",
        "clinic",
        "unreadable",
    }
)
_MAX_EXDATES = 500
_ENDED = openapi.problem("Cancelled, held or missed before, or not begun.")


class AppointmentBody(Struct, kw_only=True, frozen=True):
    """An appointment as a clinician writes it."""

    patient: uuid.UUID
    kind: Annotated[str, bodies.choice(AppointmentKind.values)]
    starts_at: Instant
    minutes: Annotated[int, Meta(ge=5, le=1440, description="minutes")]
    id: uuid.UUID | None = None
    time_zone: ZoneName | None = None
    with_: uuid.UUID | None = field(name="with", default=None)
    rrule: (
        Annotated[str, Meta(max_length=500, pattern="^[A-Z0-9=;,+:/\n-]*$", examples=["FREQ=WEEKLY;BYDAY=TU"])] | None
    ) = None
    exdates: Annotated[list[Instant], Meta(max_length=_MAX_EXDATES)] = []
    place: Line | None = None
    link: Annotated[str, Meta(max_length=500, pattern="^(https?://[^\x00-\x20]*)?$")] | None = None
    note: Text | None = None

    def faults(self) -> list[FieldError]:
        """A rule has no seconds to spare."""
        return [
            FieldError(f"/exdates/{i}", "out_of_range", "exdates must lie between 1900 and 2200.")
            for i, at in enumerate(self.exdates)
            if not bodies.within_reach(at)
        ]


openapi.IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description='The version it was made from: `"3"`'
)


class AppointmentView(DoorView):
    """What the doors of appointments share."""

    def find(self, id: uuid.UUID) -> Appointment:
        """The appointment, if it is the actor's own or of a patient of the care team. Raises 404, 410."""
        row = Appointment.objects.select_related("patient").filter(id=id).first()
        if row is None or not self._may_see(row):
            raise problems.not_found()
        if row.deleted_at is not None:
            raise _gone(row)
        self.actor.shown.add(row.patient_id)
        return row

    def _may_see(self, row: Appointment) -> bool:
        if self.actor.is_patient and row.patient_id == self.actor.person.id:
            return True
        open_to = access.open_to(self.actor, Share.APPOINTMENTS)
        return row.clinic_id == self.actor.clinic_id and open_to.filter(id=row.patient_id).exists()

    def shown(self, row: Appointment, *, status: int = 200) -> Response:
        """The appointment with its occurrences."""
        body = as_json([row], with_notes=access.reads_notes(self.actor, row.patient_id))[0]
        return Response(body, status=status, headers={"ETag": etags.of(row.version)})


class Appointments(AppointmentView):
    """Appointments: the patient's own, or those of the clinic's patients of the own care teams."""

    roles = {"GET": reach.RECORD}

    @extend_schema(
        operation_id="appointments_list",
        parameters=[
            OpenApiParameter("patient", OpenApiTypes.UUID),
            OpenApiParameter("since", OpenApiTypes.DATETIME, description="`starts_at` from here, included"),
            OpenApiParameter("until", OpenApiTypes.DATETIME, description="`starts_at` up to here, not included"),
            OpenApiParameter("kind", OpenApiTypes.STR, enum=list(AppointmentKind.values)),
            OpenApiParameter("status", OpenApiTypes.STR, enum=list(AppointmentStatus.values)),
            OpenApiParameter("changed_after", OpenApiTypes.INT64),
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
            OpenApiParameter("cursor", OpenApiTypes.STR),
        ],
        responses={200: openapi.listing(APPOINTMENT)},
    )
    def get(self, request: Request) -> Response:
        """A page of appointments, latest first."""
        queries.refuse_unknown(
            request, {"patient", "since", "until", "kind", "status", "changed_after", "limit", "cursor"}
        )
        patient_id, with_notes = queries.identifier(request, "patient"), self.actor.is_clinician
        rows = Appointment.objects.filter(deleted_at__isnull=True)
        if patient_id is not None or self.actor.is_patient:
            record = access.open_record(self.actor, patient_id or self.actor.person.id, Share.APPOINTMENTS)
            with_notes = not record.by_caregiver
            rows = rows.filter(patient=record.patient)
            if record.clinic_id is not None:
                rows = rows.filter(clinic_id=record.clinic_id)
        else:
            rows = rows.filter(patient__in=access.patients_of(self.actor), clinic_id=self.actor.here)
        wanted = {
            "starts_at__gte": queries.instant(request, "since"),
            "starts_at__lt": queries.instant(request, "until"),
            "kind": queries.choice(request, "kind", AppointmentKind.values),
            "status": queries.choice(request, "status", AppointmentStatus.values),
            "change_number__gt": queries.whole_number(request, "changed_after", low=0, high=2**63 - 1),
        }
        rows = rows.filter(**{name: value for name, value in wanted.items() if value is not None})
        page = pages.page(rows, request=request, ordering=("-starts_at", "-id"))
        self.actor.shown.update(row.patient_id for row in page["results"])
        return Response({**page, "results": as_json(page["results"], with_notes=with_notes)})


class AppointmentDetail(AppointmentView):
    """One appointment by its id."""

    roles = {"GET": reach.RECORD, "PUT": reach.CLINICIAN, "DELETE": reach.CLINICIAN}

    @extend_schema(operation_id="appointment_read", responses={200: APPOINTMENT})
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """The appointment with its occurrences of the next 90 days."""
        return self.shown(self.find(id))

    @extend_schema(
        operation_id="appointment_put",
        request={"application/json": openapi.component(AppointmentBody)},
        parameters=[openapi.IF_MATCH],
        responses={200: APPOINTMENT, 201: APPOINTMENT, 409: _ENDED},
    )
    def put(self, request: Request, id: uuid.UUID) -> Response:
        """Creates or changes; reminders follow. The same request twice is the same as once."""
        data = bodies.decoded(request)
        if isinstance(data, dict):
            notes.refuse_to_lose(data, given={name: value for name, value in data.items() if value is not None})
        body = bodies.convert(data, AppointmentBody, ignored=READ_ONLY)
        if body.id not in {None, id}:
            raise problems.invalid(FieldError("/id", "mismatch", "The id in the body must equal the one in the path."))
        record = access.open_record(self.actor, body.patient)
        try:
            row, new = appointments.put(
                id=id,
                clinic=Clinic.objects.get(id=self.actor.here),
                patient=record.patient,
                kind=body.kind,
                starts_at=_whole_seconds(body.starts_at) if body.rrule else body.starts_at,
                minutes=body.minutes,
                now=self.now,
                time_zone=body.time_zone,
                with_person=body.with_,
                rrule=body.rrule or None,
                exdates=[_whole_seconds(at) for at in body.exdates],
                place=body.place or "",
                link=body.link or "",
                note=body.note or "",
                base=self._base(request, id),
            )
        except recurrence.RuleError as error:
            raise problems.invalid(FieldError("/rrule", "unsupported_rule", str(error))) from error
        except appointments.LongAgo as error:
            raise problems.invalid(FieldError("/starts_at", "out_of_range", str(error))) from error
        except appointments.NotOnStaff as error:
            raise problems.invalid(FieldError("/with", "not_on_staff", str(error))) from error
        except appointments.Ended as error:
            raise _ended(error) from error
        except appointments.IdTaken:
            raise problems.not_found() from None
        except appointments.Deleted as error:
            raise _gone(error.current) from None
        except appointments.Stale as error:
            raise _stale(error.current) from None
        return self.shown(row, status=201 if new else 200)

    @extend_schema(operation_id="appointment_delete", parameters=[openapi.IF_MATCH], responses={204: None})
    def delete(self, request: Request, id: uuid.UUID) -> Response:
        """Takes the appointment away; its reminders end. If-Match with the tombstone's version on a PUT restores it."""
        try:
            row = appointments.delete(appointment=self.find(id), now=self.now, base=self._base(request, id))
        except appointments.Deleted as error:
            raise _gone(error.current) from None
        except appointments.Stale as error:
            raise _stale(error.current) from None
        return Response(status=204, headers={"ETag": etags.of(row.version)})

    def _base(self, request: Request, id: uuid.UUID) -> int | None:
        base = etags.if_match(request)
        if base != etags.ANY:
            return base
        return Appointment.objects.filter(id=id).values_list("version", flat=True).first() or 0


class AppointmentAction(AppointmentView):
    """An answer to an appointment; repeated in the same state it changes nothing."""

    status: ClassVar[AppointmentStatus]
    roles = {"POST": reach.PATIENT_AND_TEAM}

    def post(self, request: Request, id: uuid.UUID, occurrence: uuid.UUID | None = None) -> Response:
        """The appointment with its new status; 409 when it was cancelled, held or missed before.

        Of a series `cancel` ends all that is to come, `no-show` is about the last occurrence that began, the others
        about the next one, unless the path names an occurrence.
        """
        bodies.refuse_any(request)
        row = self.find(id)
        try:
            row = appointments.answer(appointment=row, status=self.status, now=self.now, occurrence_id=occurrence)
        except appointments.UnknownOccurrence:
            raise problems.not_found() from None
        except appointments.Deleted as error:
            raise _gone(error.current) from None
        except appointments.NotBegun as error:
            raise Problem(status=409, code="not_begun", detail=str(error)) from error
        except appointments.Ended as error:
            raise _ended(error) from error
        return self.shown(row)


def _actions(prefix: str) -> dict[str, type[AppointmentAction]]:
    """By the last word of its address: an answer, to the whole appointment or to one occurrence."""
    made = {}
    for name, status, roles in (
        ("confirm", AppointmentStatus.CONFIRMED, reach.PATIENT_AND_TEAM),
        ("ask-to-move", AppointmentStatus.MOVE_ASKED, reach.PATIENT_AND_TEAM),
        ("cancel", AppointmentStatus.CANCELLED, reach.PATIENT_AND_TEAM),
        ("no-show", AppointmentStatus.NO_SHOW, reach.CLINICIAN),
    ):
        described = extend_schema(
            operation_id=f"{prefix}_{name.replace('-', '_')}",
            request=None,
            responses={200: APPOINTMENT, 409: _ENDED},
        )
        view = type(f"{prefix}{name}", (AppointmentAction,), {"status": status, "roles": {"POST": roles}})
        made[name] = extend_schema_view(post=described)(view)
    return made


ACTIONS = _actions("appointment")
OCCURRENCE_ACTIONS = _actions("occurrence")


def _whole_seconds(at: datetime) -> datetime:
    # RFC 5545 knows no smaller unit, and a series must not miss its own start by a fraction.
    return at.replace(microsecond=0)


def _ended(error: appointments.Ended) -> Problem:
    return Problem(status=409, code="already_ended", detail=str(error))


def _gone(row: Appointment) -> Problem:
    return etags.deleted("The appointment was deleted.", version=row.version, at=row.deleted_at)


def _stale(row: Appointment) -> Problem:
    return etags.stale("The appointment", current=as_json([row])[0])
