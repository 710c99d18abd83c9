"""`/metrics` for Prometheus: how many requests, how long, what waits. No label names a person, a record or an address.

Web runs in several processes; each counts in a file of its own in one shared folder (`parts.count_together`), and
whoever is asked adds them up.
"""

import os
import time
from collections.abc import Callable, Iterator
from functools import cache

from django.conf import settings
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from backend.common import clock
from backend.common.client_address import is_loopback
from backend.config import opening
from backend.reminders import figures, watch

# Seconds; a check-in takes a few thousandths, and a second is what somebody notices.
_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_BACKLOG = (
    ("due", "Reminders that are due and not yet claimed."),
    ("oldest_due_seconds", "How long the oldest of them has waited."),
    ("pending", "Deliveries that nobody has taken yet."),
    ("oldest_pending_seconds", "How long the oldest of them has waited."),
    ("in_doubt", "Deliveries that were handed over and never confirmed."),
)
_TALLIES = {
    "due": ("claimed", "class", "Reminders that were claimed, by class."),
    "sent": ("sent", "channel", "Deliveries that were taken, by channel."),
    "skipped": ("skipped", "reason", "Reminders that were not sent, by reason."),
    "expired": ("expired", "reason", "Reminders whose window closed before they left, by reason."),
    "failed": ("failed", "channel", "Reminders that no channel took, by the last of them."),
    "retries": ("retries", "channel", "Deliveries that are tried again, by channel."),
    "unknown": ("unknown", "channel", "Deliveries that were handed over and never confirmed, by channel."),
}


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
    machinery.register(_Engine())
    return HttpResponse(generate_latest(registry) + generate_latest(machinery), content_type=CONTENT_TYPE_LATEST)


class _Machinery:
    """What `/readyz` tells, as gauges: the parts' heartbeats, the backlog of reminders, the age of the last backup."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        told = watch.readiness(now=clock.now())
        backlog = told.pop("backlog") or {}
        well = GaugeMetricFamily("afterglow_part_well", "1 while the part's heartbeat is fresh.", labels=["part"])
        age = GaugeMetricFamily("afterglow_part_heartbeat_age_seconds", "Since the last heartbeat.", labels=["part"])
        auditor = told.pop("auditor")
        yield GaugeMetricFamily("afterglow_auditor_well", "1 while all was well lately.", value=float(auditor["well"]))
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


class _Engine:
    """What the engine of reminders counted since it was installed, over all processes, and how late it was."""

    def collect(self) -> Iterator[Metric]:
        try:
            totals = figures.totals()
        except DatabaseError:  # the figures above say that the database is away
            return
        for name, (told_as, label, words) in _TALLIES.items():
            counter = CounterMetricFamily(f"afterglow_reminders_{told_as}", words, labels=[label])
            for (each, value), count in totals.items():
                if each == name:
                    counter.add_metric([value], count)
            yield counter
        late = HistogramMetricFamily(
            "afterglow_reminders_lateness_seconds", "From the hour of leaving to the hand-over.", labels=["class"]
        )
        for (name, reminder_class), milliseconds in totals.items():
            if name == "lateness_ms":
                buckets, count = [], 0
                for end in (*map(str, figures.BUCKETS), "+Inf"):
                    count += totals.get(("lateness", f"{reminder_class} {end}"), 0)
                    buckets.append((end, count))
                late.add_metric([reminder_class], buckets, sum_value=milliseconds / 1000)
        yield late
