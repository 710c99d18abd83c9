"""Addresses of the room: each registered kind of log gets its list, its batch and its records."""

from django.urls import URLPattern, path

from backend.aftercare import kinds
from backend.aftercare.api import appointments
from backend.aftercare.api.log_docs import documented
from backend.aftercare.api.logs import LogBatch, LogDetail, LogList
from backend.aftercare.kinds import Kind


def _addresses(kind: Kind) -> list[URLPattern]:
    return [
        path(kind.path, documented(LogList, kind).as_view(), name=f"{kind.path}-list"),
        path(f"{kind.path}/batch", documented(LogBatch, kind).as_view(), name=f"{kind.path}-batch"),
        path(f"{kind.path}/<uuid:id>", documented(LogDetail, kind).as_view(), name=f"{kind.path}-detail"),
    ]


urlpatterns = [
    *(address for kind in kinds.kinds() for address in _addresses(kind)),
    path("appointments", appointments.Appointments.as_view(), name="appointments"),
    path("appointments/<uuid:id>", appointments.AppointmentDetail.as_view(), name="appointment"),
    *(
        path(f"appointments/<uuid:id>/{name}", view.as_view(), name=f"appointment-{name}")
        for name, view in appointments.ACTIONS.items()
    ),
    *(
        path(f"appointments/<uuid:id>/occurrences/<uuid:occurrence>/{name}", view.as_view(), name=f"occurrence-{name}")
        for name, view in appointments.OCCURRENCE_ACTIONS.items()
    ),
]
