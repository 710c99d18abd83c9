"""The door of the timeline: what happened to a patient, for the patient and the care team."""

import uuid
from datetime import UTC, date, datetime

import msgspec
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import access, reach
from backend.accounts.door import DoorView
from backend.common import bodies, openapi, pages, queries
from backend.insights import timeline
from backend.insights.timeline import Place, TimelineEntry

_EXAMPLE = {
    "results": [
        {
            "id": "0190163d-8694-739b-aea5-966c26f8ad91",
            "kind": "check_in",
            "at": "2026-11-24T13:01:00Z",
            "on": None,
            "title": "Check-in, mood 2",
            "detail": "Slept badly again. Could not face the gym.",
            "about": {"type": "mood_check_in", "id": "0190163d-8694-739b-aea5-966c26f8ad91"},
        },
        {
            "id": "01901a52-1c07-7e55-9c1b-3d4e5f607182",
            "kind": "substance_use",
            "at": "2026-11-20T18:30:00Z",
            "on": "2026-11-21",
            "title": "Logged use of alcohol, 1 glass",
            "detail": None,
            "about": {"type": "substance_log", "id": "01901a52-1c07-7e55-9c1b-3d4e5f607182"},
        },
    ],
    "next": None,
    "previous": None,
}


class Timeline(DoorView):
    """What happened to a patient, as one list."""

    roles = {"GET": reach.PATIENT_AND_TEAM}

    @extend_schema(
        operation_id="timeline_list",
        parameters=[
            OpenApiParameter("since", OpenApiTypes.DATETIME, description="`at` from here, included"),
            OpenApiParameter("until", OpenApiTypes.DATETIME, description="`at` up to here, not included"),
            OpenApiParameter("kind", OpenApiTypes.STR, enum=list(timeline.KINDS)),
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
            OpenApiParameter("cursor", OpenApiTypes.STR),
        ],
        responses={
            200: OpenApiResponse(
                openapi.listing(openapi.component(TimelineEntry)),
                examples=[OpenApiExample("A day", value=_EXAMPLE, response_only=True)],
            )
        },
    )
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """Sessions, visits, check-ins (noted or low), side effects, substance use, annotations, changes of zone.

        Newest first, up to now. `title` and `detail` are words to show; `about` names the record itself. Of what has a
        day and no hour, `on` is the day.
        """
        queries.refuse_unknown(request, {"since", "until", "kind", "limit", "cursor"})
        record = access.open_record(self.actor, id)
        backwards, beyond = _position(request)
        found, more = timeline.page(
            record,
            now=self.now,
            limit=pages.limit_of(request),
            kind=queries.choice(request, "kind", timeline.KINDS),
            since=queries.instant(request, "since"),
            until=queries.instant(request, "until"),
            beyond=beyond,
            backwards=backwards,
        )
        ahead, behind = (beyond is not None, more) if backwards else (more, beyond is not None)
        return Response(
            {
                "results": msgspec.to_builtins([entry for _, entry in found]),
                "next": _link(request, found[-1][0], way="f") if ahead and found else None,
                "previous": _link(request, found[0][0], way="b") if behind and found else None,
            }
        )


def _link(request: Request, place: Place, *, way: str) -> str:
    return pages.link(request, f"{way} {place.at.isoformat()} {place.kind} {place.day.isoformat()} {place.id}")


def _position(request: Request) -> tuple[bool, Place | None]:
    """Whether the page is read backwards, and the place after which or before which it lies."""
    token = pages.token_of(request)
    if token is None:
        return False, None
    try:
        way, at, kind, day, id = token.split(" ")
        place = Place(datetime.fromisoformat(at).astimezone(UTC), kind, date.fromisoformat(day), uuid.UUID(id))
    except (ValueError, OverflowError):
        raise pages.not_ours() from None
    if way not in {"f", "b"} or kind not in timeline.KINDS or not bodies.within_reach(place.at):
        raise pages.not_ours()
    return way == "b", place
