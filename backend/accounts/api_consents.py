"""The doors of consent: what is asked and what I agreed to, agreeing, withdrawing, and a clinic's own words."""

import uuid
from datetime import datetime
from typing import Annotated, Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import access, consents, reach
from backend.accounts.consent_texts import STOPS, Purpose
from backend.accounts.consents import Asked
from backend.accounts.door import DoorView
from backend.accounts.models import ConsentDocument, Person
from backend.accounts.shapes import CONSENT, CONSENT_DOCUMENT, PAGING
from backend.common import bodies, openapi, pages, problems, queries
from backend.common.bodies import Instant, Struct
from backend.common.problems import FieldError, Problem

Language = Annotated[str, Meta(pattern="^[a-z]{2,3}(-[A-Z]{2})?$(?!\n)", examples=["en"])]
_CHANGED = openapi.problem("Another version is asked for by now; read it and agree to that one.")


class ConsentView(DoorView):
    """What the doors of one's own consents share."""

    def purpose(self, code: str) -> Purpose:
        """The purpose in the address. Raises a 404 problem."""
        try:
            return Purpose(code)
        except ValueError:
            raise problems.not_found(f"There is no such purpose; there are {', '.join(Purpose.values)}.") from None


class Consents(ConsentView):
    """What is asked, with the words, and what was agreed to and withdrawn."""

    roles = {"GET": reach.PATIENT_AND_TEAM}

    @extend_schema(
        operation_id="consents_list",
        parameters=[
            OpenApiParameter("patient", OpenApiTypes.UUID, description="For clinicians of the care team"),
            OpenApiParameter("language", OpenApiTypes.STR),
        ],
        responses={200: openapi.listing(CONSENT)},
    )
    def get(self, request: Request) -> Response:
        """One item for each purpose, in a fixed order."""
        queries.refuse_unknown(request, {"patient", "language"})
        given = queries.identifier(request, "patient")
        if given is None and not self.actor.is_patient:
            raise problems.invalid(FieldError("patient", "required", "Say whose consents: ?patient=<id>."))
        record = access.open_record(self.actor, given or self.actor.person.id)
        every = consents.asked(
            patient=record.patient, clinic_id=self.actor.here, now=self.now, language=queries.text(request, "language")
        )
        return Response({"results": [_shown(one) for one in every], "next": None, "previous": None})


class Agreement(Struct, kw_only=True, frozen=True):
    """The version that was read."""

    version: Annotated[int, Meta(ge=1, le=1_000_000)]
    language: Language | None = None


class ConsentAgree(ConsentView):
    """Agreeing to the words as they are now."""

    roles = {"POST": reach.PATIENT}

    @extend_schema(
        operation_id="consent_agree",
        request={"application/json": openapi.component(Agreement)},
        responses={200: CONSENT, 409: _CHANGED},
    )
    def post(self, request: Request, purpose: str) -> Response:
        """Records the agreement; repeated, it stays one."""
        code = self.purpose(purpose)
        body = bodies.read(request, Agreement)
        try:
            one = consents.agree(
                patient=_locked(self.actor.person),
                clinic_id=self.actor.here,
                purpose=code,
                version=body.version,
                language=body.language,
                device_id=self.actor.device_id,
                now=self.now,
            )
        except consents.VersionChanged as error:
            raise Problem(
                status=409,
                code="version_changed",
                detail=str(error),
                errors=[FieldError("/version", "version_changed", str(error))],
            ) from error
        return Response(_shown(one))


class ConsentWithdraw(ConsentView):
    """Taking an agreement back, or saying no."""

    roles = {"POST": reach.PATIENT}

    @extend_schema(operation_id="consent_withdraw", request=None, responses={200: CONSENT})
    def post(self, request: Request, purpose: str) -> Response:
        """Records the withdrawal; it closes no alert, lowers none, and removes nothing."""
        bodies.refuse_any(request)
        one = consents.withdraw(
            patient=_locked(self.actor.person),
            clinic_id=self.actor.here,
            purpose=self.purpose(purpose),
            device_id=self.actor.device_id,
            now=self.now,
        )
        return Response(_shown(one))


class Words(Struct, kw_only=True, frozen=True):
    """A document in one language."""

    language: Language
    title: Annotated[str, Meta(min_length=1, max_length=200, pattern="^[^\x00-\x1f]*$(?!\n)")]
    text: Annotated[str, Meta(min_length=1, max_length=20_000, pattern="^[^\x00]*$")]


class Publication(Struct, kw_only=True, frozen=True):
    """A clinic's own words for a purpose; all languages together are one version."""

    purpose: Annotated[str, bodies.choice(Purpose.values)]
    texts: Annotated[list[Words], Meta(min_length=1, max_length=40)]
    binding_at: Annotated[Instant, Meta(description="From here on earlier ones no longer hold; default now")] | None = (
        None
    )

    def faults(self) -> list[FieldError]:
        """A language comes once."""
        if len({words.language for words in self.texts}) < len(self.texts):
            return [FieldError("/texts", "duplicate", "Each language may come once.")]
        return []


class ConsentDocuments(DoorView):
    """The clinic's own documents; where there are none, the built-in ones count."""

    roles = {"GET": reach.STAFF, "POST": reach.ADMINISTRATOR}

    @extend_schema(
        operation_id="consent_documents_list",
        parameters=PAGING,
        responses={200: openapi.listing(CONSENT_DOCUMENT)},
    )
    def get(self, request: Request) -> Response:
        """A page of documents, newest first."""
        queries.refuse_unknown(request, {"limit", "cursor"})
        rows = ConsentDocument.objects.filter(clinic_id=self.actor.here)
        page = pages.page(rows, request=request, ordering=("-published_at", "-id"))
        return Response({**page, "results": [_document(row) for row in page["results"]]})

    @extend_schema(
        operation_id="consent_documents_publish",
        request={"application/json": openapi.component(Publication)},
        responses={201: openapi.listing(CONSENT_DOCUMENT)},
    )
    def post(self, request: Request) -> Response:
        """Publishes a new version and asks every patient again."""
        body = bodies.read(request, Publication)
        made = consents.publish(
            clinic_id=self.actor.here,
            purpose=Purpose(body.purpose),
            texts=[(words.language, words.title, words.text) for words in body.texts],
            binding_at=body.binding_at or self.now,
            by=self.actor.person.id,
            now=self.now,
        )
        return Response({"results": [_document(row) for row in made], "next": None, "previous": None}, status=201)


def _locked(person: Person) -> Person:
    """The person as written last, so that what is planned anew is planned with it."""
    return Person.objects.select_for_update(no_key=True).get(id=person.id)


def _shown(one: Asked) -> dict[str, Any]:
    words = one.words
    return {
        "purpose": words.purpose,
        "status": one.status,
        "holds": one.holds,
        "version": words.version,
        "language": words.language,
        "title": words.title,
        "text": words.text,
        "of_clinic": one.of_clinic,
        "published_at": words.published_at,
        "binding_at": words.binding_at,
        "stops": STOPS[words.purpose],
        "history": [
            {
                "act": act.act,
                "version": act.version,
                "language": act.language,
                "at": act.recorded_at,
                "device": act.device_id,
                "text_sha256": act.text_sha256,
            }
            for act in one.acts
        ],
    }


def _document(row: ConsentDocument) -> dict[str, uuid.UUID | str | int | datetime]:
    return {
        "id": row.id,
        "purpose": row.purpose,
        "version": row.version,
        "language": row.language,
        "title": row.title,
        "text": row.text,
        "published_at": row.published_at,
        "binding_at": row.binding_at,
    }
