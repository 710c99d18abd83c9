"""The doors of the room: a patient's trend as data and as a picture."""

import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from backend.accounts import access, reach
from backend.accounts.access import Record
from backend.accounts.door import DoorView
from backend.accounts.isolation import Share
from backend.common import openapi, problems, queries
from backend.common.http import JSONRenderer
from backend.common.problems import FieldError
from backend.insights import chart
from backend.insights import days as calendar
from backend.insights import queries as trends
from backend.insights.days import DEFAULT_DAYS, MAX_DAYS, BadSpan
from backend.insights.paint import LIGHT
from backend.insights.series import Day, Exercise, Marker, Mood, Series, Sleep, Trend

_RANGE = [
    OpenApiParameter(
        "days",
        {"type": "integer", "minimum": 1, "maximum": MAX_DAYS, "default": DEFAULT_DAYS},
        description="How many days, counted back from `until` or on from `since`; give at most two of the three",
    ),
    OpenApiParameter("since", OpenApiTypes.DATE, description="The first day"),
    OpenApiParameter("until", OpenApiTypes.DATE, description="The day after the last; today is the last by default"),
]


def _example() -> Any:
    on = datetime(2026, 11, 24, tzinfo=UTC).date()
    at = datetime(2026, 11, 24, 4, 30, tzinfo=UTC)
    day = Day(on, Mood(6.5, 2), 6.1, Sleep(432, 7), Exercise(30), None, (), ("alcohol",), True)
    session = Marker("session", at, uuid.UUID(int=4), None, "iv", 40.0)
    trend = Trend(uuid.UUID(int=7), "Asia/Kolkata", on, on.replace(day=25), (day,), (session,), (), None, ())
    return msgspec.json.decode(msgspec.json.encode(trend))


_TREND = OpenApiResponse(
    openapi.component(Trend),
    description="Every day of the range, null where there is silence",
    examples=[OpenApiExample("One day, with a session", value=_example(), response_only=True)],
)


# What a patient may share of a trend. Row-level security leaves the other lanes empty.
_LANES = (Share.MOOD, Share.SLEEP, Share.EXERCISE, Share.NUTRITION, Share.SUBSTANCES)


class _TrendDoor(DoorView):
    def series(self, request: Request, record: Record, *, answers: bool = False) -> Series:
        """The series that the request asks for. Raises a 400 problem that names the parameter."""
        queries.refuse_unknown(request, {"days", "since", "until"})
        try:
            span = calendar.span_of(
                today=calendar.day_of(zones=record.zones, at=self.now),
                days=queries.whole_number(request, "days", low=1, high=MAX_DAYS),
                since=queries.day(request, "since"),
                until=queries.day(request, "until"),
            )
        except BadSpan as bad:
            raise problems.invalid(FieldError(bad.field, bad.code, bad.detail)) from None
        return trends.series_of(
            patient_id=record.patient.id,
            clinic_id=record.clinic_id,
            zones=record.zones,
            span=span,
            now=self.now,
            answers=answers,
        )


class OwnTrend(_TrendDoor):
    """One's own trend."""

    roles = {"GET": reach.PATIENT}

    @extend_schema(operation_id="own_trend_read", parameters=_RANGE, responses={200: _TREND})
    def get(self, request: Request) -> Response:
        """Daily mood with its 7-day mean, sleep, exercise, nutrition, substances and sessions, in one's own days."""
        return _data(self.series(request, access.own_record(self.actor)))


class PatientTrend(_TrendDoor):
    """A patient's trend; a caregiver's shows the lanes that the patient shares."""

    roles = {"GET": reach.RECORD}

    @extend_schema(operation_id="patient_trend_read", parameters=_RANGE, responses={200: _TREND})
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """Daily mood with its 7-day mean, sleep, exercise, nutrition, substances, sessions, in the patient's days."""
        return _data(self.series(request, access.open_record(self.actor, id, *_LANES)))


class PictureRenderer(JSONRenderer):
    """Passes a picture through; a refusal is a problem document all the same."""

    media_type = "image/svg+xml"
    format = "svg"


class PatientTrendPicture(_TrendDoor):
    """A patient's trend as a picture."""

    roles = {"GET": reach.RECORD}
    renderer_classes = (PictureRenderer,)

    @extend_schema(
        operation_id="patient_trend_picture",
        parameters=_RANGE,
        responses={(200, "image/svg+xml"): OpenApiResponse(OpenApiTypes.STR, description="An SVG that stands alone")},
    )
    def get(self, request: Request, id: uuid.UUID) -> Response:
        """The chart of the patient's page as one SVG file."""
        series = self.series(request, access.open_record(self.actor, id, *_LANES), answers=True)
        return Response(chart.draw(series, ident="trend", paint=LIGHT).encode())


def _data(series: Series) -> Response:
    return Response(msgspec.json.encode(series.trend))
