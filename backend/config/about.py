"""What the system says about itself: the API's front page, liveness and readiness."""

from collections.abc import Callable
from typing import Any

import orjson
from django.conf import settings
from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from drf_spectacular.utils import extend_schema
from redis import Redis, RedisError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.common import clock
from backend.config import opening
from backend.reminders import watch
from backend.reminders.channels import webpush

MINIMUM_APP_VERSION = "1.0.0"

_ABOUT = {
    "type": "object",
    "required": ["server_time", "vapid_public_key", "minimum_app_version"],
    "properties": {
        "server_time": {"type": "string", "format": "date-time"},
        "vapid_public_key": {"type": ["string", "null"], "description": "null until Web Push is set up"},
        "minimum_app_version": {"type": "string"},
    },
}


class About(APIView):
    """What a client asks first."""

    permission_classes = (AllowAny,)
    authentication_classes = ()

    @extend_schema(operation_id="about", responses={200: _ABOUT}, auth=[])
    def get(self, request: Request) -> Response:
        """The server's clock, against which a phone checks its own, and the oldest app that still works."""
        return Response(
            {
                "server_time": clock.now(),
                "vapid_public_key": webpush.public_key(),
                "minimum_app_version": MINIMUM_APP_VERSION,
            }
        )


def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse(b'{"status": "ok"}', content_type="application/json")


def readyz(request: HttpRequest) -> HttpResponse:
    """200 when requests can be served; 503 only without the database, with migrations that were not applied, or closed.

    Closed is a restored database on which the erasures were not replayed yet. Broker, workers, beat, backlog and
    the age of the last backup are told in the body: `status` is `ok` when all of them are well, else `degraded`.
    """
    report: dict[str, Any] = {"status": "ok"}
    report["database"] = _told(_database)
    if report["database"] != "ok":
        report["status"] = "unavailable"
        return JsonResponse(report, status=503)
    report["broker"] = _told(_broker)
    report["backup"] = opening.last_backup(now=clock.now())
    report.update(watch.readiness(now=clock.now()))
    if report["broker"] != "ok" or not all(report[part]["well"] for part in ("worker", "urgent", "beat")):
        report["status"] = "degraded"
    return HttpResponse(orjson.dumps(report, default=str), content_type="application/json")


def _told(check: Callable[[], str]) -> str:
    """The check's word, or the kind of failure; never an address or a password."""
    try:
        return check()
    except (DatabaseError, RedisError, OSError) as error:
        return type(error).__name__


_migrated = False


def _database() -> str:
    global _migrated
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT 1")
    if not _migrated:
        executor = MigrationExecutor(connections["default"])
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return "migrations missing"
        _migrated = True
    return opening.CLOSED if opening.is_closed() else "ok"


def _broker() -> str:
    with Redis.from_url(settings.REDIS_URL, socket_timeout=0.5, socket_connect_timeout=0.5) as redis:
        redis.ping()
    return "ok"
