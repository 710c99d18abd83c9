"""The naive way that ours is measured against: a ModelSerializer and get_or_create for each record, by the book.

The same schema, the same sign-in, the same server; none of the versions, verdicts, transactions and states of ours, and
none of the isolation, history, audit and encryption: its table is bench.stage.BARE.
"""

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from rest_framework import parsers, renderers, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.aftercare.models import MoodCheckIn
from backend.common.fields import Sealed
from bench import stage

MoodCheckIn._meta.db_table = stage.BARE  # this process serves nothing else


class MoodCheckInSerializer(serializers.ModelSerializer):  # type: ignore[type-arg]
    """All that a phone sends."""

    id = serializers.UUIDField(required=False)

    class Meta:
        model = MoodCheckIn
        fields = (
            "id", "felt_at", "time_zone", "mood", "anxiety", "energy", "irritability", "craving", "clarity", "tags",
            "note",
        )  # fmt: skip


class View(APIView):
    """DRF's own parser and renderer."""

    parser_classes = (parsers.JSONParser,)
    renderer_classes = (renderers.JSONRenderer,)

    def keep(self, request: Request, id: uuid.UUID, data: Any) -> tuple[MoodCheckIn, bool]:
        """Stores one record."""
        serializer = MoodCheckInSerializer(data=data)
        serializer.is_valid(raise_exception=True)
        now = timezone.now()
        defaults = {**serializer.validated_data, "patient": request.user, "change_number": 0, "received_at": now}
        defaults.pop("id", None)
        defaults["note"] = Sealed(defaults.get("note", ""))  # as it came: the bare table has no seals
        return MoodCheckIn.objects.get_or_create(id=id, defaults={**defaults, "updated_at": now})


class One(View):
    """PUT of one."""

    def put(self, request: Request, id: uuid.UUID) -> Response:
        """201, then 200."""
        row, new = self.keep(request, id, request.data)
        return Response(MoodCheckInSerializer(row).data, status=201 if new else 200)


class Batch(View):
    """POST of many."""

    def post(self, request: Request) -> Response:
        """Each record by itself."""
        results = []
        for record in request.data["records"]:
            row, new = self.keep(request, record["id"], record)
            results.append({"id": row.id, "outcome": "created" if new else "unchanged"})
        return Response({"results": results})


def healthz(request: HttpRequest) -> HttpResponse:
    """Up."""
    return HttpResponse("ok")


urlpatterns = [
    path("healthz", healthz),
    path("naive/batch", Batch.as_view()),
    path("naive/<uuid:id>", One.as_view()),
]
