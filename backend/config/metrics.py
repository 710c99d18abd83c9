"""`/metrics` for Prometheus: how many requests, how long, what waits. No label names a person, a record or an address.

Web runs in several processes; each counts in a file of its own in one shared folder (`parts.count_together`), and
whoever is asked adds them up.
"""

import os
import time
from collections.abc import Callable, Iterator
from functools import cache

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from backend.common import clock
from backend.common.client_address import is_loopback
from backend.config import opening
from backend.reminders import watch

# Seconds; a check-in takes a few thousandths, and a second is what somebody notices.
_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_BACKLOG = (
    ("due", "Reminders that are due and not yet claimed."),
    ("oldest_due_seconds", "How long the oldest of them has waited."),
    ("pending", "Deliveries that nobody has taken yet."),
    ("oldest_pending_seconds", "How long the oldest of them has waited."),
)


@cache
def _seconds() -> Histogram:
    words = "Requests by verb, route and status."
    return Histogram("afterglow_request_seconds", words, ["verb", "route", "status"], buckets=_BUCKETS)


class RequestMetrics:
    """Middleware: counts and times each request by verb, route and status."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The answer, counted."""
        started = time.perf_counter()
        response = self.get_response(request)
        # The route as the URL configuration has it: an address that was typed may hold anything. So may a verb.
        match = request.resolver_match
        route = f"/{match.route}" if match is not None else "none"
        verb = (request.method or "") if response.status_code != 405 else "other"
        _seconds().labels(verb, route, str(response.status_code)).observe(time.perf_counter() - started)
        return response


def metrics(request: HttpRequest) -> HttpResponse:
    """The figures as text, to this machine itself or to who shows METRICS_TOKEN; 404 to everyone else."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    shown = bool(settings.METRICS_TOKEN) and constant_time_compare(given, settings.METRICS_TOKEN)
    if not (shown or is_loopback(request)):
        raise Http404
    registry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    machinery = CollectorRegistry()
    machinery.register(_Machinery())
    return HttpResponse(generate_latest(registry) + generate_latest(machinery), content_type=CONTENT_TYPE_LATEST)


class _Machinery:
    """What `/readyz` tells, as gauges: the parts' heartbeats, the backlog of reminders, the age of the last backup."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        told = watch.readiness(now=clock.now())
        backlog = told.pop("backlog") or {}
        well = GaugeMetricFamily("afterglow_part_well", "1 while the part's heartbeat is fresh.", labels=["part"])
        age = GaugeMetricFamily("afterglow_part_heartbeat_age_seconds", "Since the last heartbeat.", labels=["part"])
        for part, state in told.items():
            well.add_metric([part], float(state["well"]))
            if state["age_seconds"] is not None:
                age.add_metric([part], state["age_seconds"])
        yield from (well, age)
        for name, words in _BACKLOG:
            if name in backlog:
                yield GaugeMetricFamily(f"afterglow_reminders_{name}", words, value=float(backlog[name] or 0))
        if (at := opening.backed_up_at()) is not None:
            words, seconds = (
                "Since the last good backup; absent where there was none.",
                (clock.now() - at).total_seconds(),
            )
            yield GaugeMetricFamily("afterglow_backup_age_seconds", words, value=seconds)
