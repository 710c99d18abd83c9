"""The doors of the room: patients and their care teams, the clinic."""

import uuid
from datetime import date
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import access, emergency, people, reach
from backend.accounts.door import DoorView
from backend.accounts.models import ADMINISTRATORS, CareTeamMember, Clinic, Membership, Person, Role, SexAtBirth
from backend.accounts.reach import Reach
from backend.accounts.shapes import CARE_TEAM_MEMBER, CLINIC, PAGING, PATIENT
from backend.common import bodies, openapi, pages, problems, queries
from backend.common.bodies import Struct
from backend.common.problems import FieldError


class Patients(DoorView):
    """The patients of the own care teams."""

    roles = {"GET": {**reach.CLINICIAN, Role.CAREGIVER: Reach.SHARED}}

    @extend_schema(
        operation_id="patients_list",
        parameters=[
            OpenApiParameter("name", OpenApiTypes.STR, description="A part of the name; with `born_on` the whole"),
            OpenApiParameter(
                "born_on",
                OpenApiTypes.DATE,
                description="With `name`: a psychiatrist finds other teams' patients too, to open a record by "
                "`break-glass`; of them only name and birth date are told",
            ),
            *PAGING,
        ],
        responses={200: openapi.listing(PATIENT)},
    )
    def get(self, request: Request) -> Response:
        """A page of patients, by name."""
        queries.refuse_unknown(request, {"name", "born_on", "limit", "cursor"})
        patients = access.patients_of(self.actor)
        born_on = queries.day(request, "born_on")
        if born_on is not None:
            return Response({"results": self._exactly(request, born_on), "next": None, "previous": None})
        if name := queries.text(request, "name"):
            patients = patients.filter(full_name__icontains=name)
        page = pages.page(patients, request=request, ordering=("full_name", "id"))
        self.actor.shown.update(person.id for person in page["results"])
        whole = self.actor.is_clinician
        return Response({**page, "results": [_patient(person, whole=whole) for person in page["results"]]})

    def _exactly(self, request: Request, born_on: date) -> list[dict[str, Any]]:
        """Those with this name and birth date, whoever cares for them."""
        name = queries.text(request, "name")
        if not name:
            raise problems.invalid(FieldError("name", "required", "With born_on give the whole name."))
        mine = access.patients_of(self.actor).filter(full_name__iexact=name, born_on=born_on)
        found = [_patient(person, whole=self.actor.is_clinician) for person in mine.order_by("id")[:20]]
        known = {row["id"] for row in found}
        found += [
            {"id": other.id, "name": other.name, "born_on": other.born_on, **_UNTOLD}
            for other in emergency.find(name=name, born_on=born_on)
            if other.id not in known
        ]
        self.actor.shown.update(row["id"] for row in found)
        return found


class PatientDetail(DoorView):
    """One patient of the own care teams, or oneself."""

    roles = {"GET": reach.RECORD}

    @extend_schema(operation_id="patient_read", responses={200: PATIENT})
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """Who the patient is."""
        record = access.open_record(self.actor, id)
        return Response(_patient(record.patient, whole=not record.by_caregiver))


class CareTeamBody(Struct, kw_only=True, frozen=True):
    """A clinician who joins a care team."""

    member: uuid.UUID


class TeamView(DoorView):
    """Who cares for a patient; the patient, the team and the administrator see it, the administrator changes it."""

    def _see(self, id: uuid.UUID) -> None:
        if not self.actor.roles & ADMINISTRATORS:
            access.open_record(self.actor, id)
        elif not Membership.objects.filter(
            clinic_id=self.actor.here, person_id=id, role=Role.PATIENT, ended_at__isnull=True
        ).exists():
            raise problems.not_found()
        self.actor.shown.add(id)

    def _team(self, id: uuid.UUID) -> list[dict[str, Any]]:
        rows = CareTeamMember.objects.filter(clinic_id=self.actor.here, patient_id=id, ended_at__isnull=True)
        found = list(rows.select_related("member").order_by("since_at", "id"))
        held = Membership.objects.filter(
            clinic_id=self.actor.here, person_id__in=[row.member_id for row in found], ended_at__isnull=True
        ).values_list("person_id", "role")
        roles: dict[uuid.UUID, list[str]] = {}
        for person_id, role in held:
            roles.setdefault(person_id, []).append(role)
        return [
            {
                "id": row.member_id,
                "name": row.member.full_name,
                "roles": sorted(roles.get(row.member_id, [])),
                "since_at": row.since_at,
            }
            for row in found
        ]


class CareTeam(TeamView):
    """The care team of one patient."""

    roles = {"GET": {**reach.PATIENT_AND_TEAM, **reach.ADMINISTRATOR}, "POST": reach.ADMINISTRATOR}

    @extend_schema(operation_id="care_team_list", responses={200: openapi.listing(CARE_TEAM_MEMBER)})
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """The care team as it is now."""
        self._see(id)
        return Response({"results": self._team(id), "next": None, "previous": None})

    @extend_schema(
        operation_id="care_team_add",
        request={"application/json": openapi.component(CareTeamBody)},
        responses={200: openapi.listing(CARE_TEAM_MEMBER)},
    )
    def post(self, request: Request, id: uuid.UUID) -> Response:
        """Puts a clinician of this clinic on the team; twice is the same as once."""
        self._see(id)
        body = bodies.read(request, CareTeamBody)
        try:
            people.put_on_care_team(clinic_id=self.actor.here, patient_id=id, member_id=body.member, now=self.now)
        except people.NotAClinician as error:
            raise problems.invalid(FieldError("/member", "not_a_clinician", str(error))) from error
        except people.Oneself as error:
            raise problems.invalid(FieldError("/member", "oneself", str(error))) from error
        except people.NotAPatient:
            raise problems.not_found() from None
        return Response({"results": self._team(id), "next": None, "previous": None})


class CareTeamMembership(TeamView):
    """One clinician on the team of one patient."""

    roles = {"GET": {**reach.PATIENT_AND_TEAM, **reach.ADMINISTRATOR}, "DELETE": reach.ADMINISTRATOR}

    @extend_schema(operation_id="care_team_read", responses={200: CARE_TEAM_MEMBER})
    def get(self, request: Request, id: uuid.UUID, member: uuid.UUID) -> Response:
        """The clinician as a member of the team."""
        self._see(id)
        found = next((row for row in self._team(id) if row["id"] == member), None)
        if found is None:
            raise problems.not_found()
        return Response(found)

    @extend_schema(operation_id="care_team_remove", responses={204: None})
    def delete(self, request: Request, id: uuid.UUID, member: uuid.UUID) -> Response:
        """Ends the care from now on."""
        self._see(id)
        if not people.take_off_care_team(clinic_id=self.actor.here, patient_id=id, member_id=member, now=self.now):
            raise problems.not_found()
        return Response(status=204)


class ClinicDetail(DoorView):
    """The clinic for which one acts."""

    roles = {"GET": reach.EVERYBODY}
    audited = False  # an address, and nobody's

    @extend_schema(operation_id="clinic_read", responses={200: CLINIC})
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """Name, address book entry and zone of the clinic, for its own people."""
        clinic = Clinic.objects.filter(id=id).first() if id == self.actor.clinic_id else None
        if clinic is None:
            raise problems.not_found()
        return Response(
            {
                "id": clinic.id,
                "name": clinic.name,
                "short_name": clinic.short_name,
                "country": clinic.country,
                "time_zone": clinic.time_zone,
                "phone": clinic.phone,
            }
        )


# What is not told of a patient for whom one does not care.
_UNTOLD = {"sex_at_birth": SexAtBirth.UNDISCLOSED, "time_zone": "", "country": ""}


def _patient(person: Person, *, whole: bool) -> dict[str, Any]:
    """Who it is; a caregiver is told no more than name and zone."""
    if not whole:
        return {"id": person.id, "name": person.full_name, "born_on": None, **_UNTOLD, "time_zone": person.time_zone}
    return {
        "id": person.id,
        "name": person.full_name,
        "born_on": person.born_on,
        "sex_at_birth": person.sex_at_birth,
        "time_zone": person.time_zone,
        "country": person.country,
    }
