"""All addresses."""

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from backend.accounts import api_second_factor
from backend.accounts.openapi import NOT_OFFERED
from backend.config import about, api_docs, metrics
from backend.web import errors as web_errors

handler404 = "backend.web.errors.not_found"
handler500 = "backend.web.errors.server_error"
handler403 = "backend.web.errors.forbidden"
handler400 = "backend.web.errors.bad_request"

api: list[URLPattern | URLResolver] = [
    path("", about.About.as_view(), name="about"),
    *(path(f"auth/app/v1/{way}", web_errors.not_found) for way in sorted(NOT_OFFERED)),
    path("auth/app/v1/", include(api_second_factor.urlpatterns)),
    path("auth/", include("allauth.headless.urls")),
    path("", include("backend.accounts.urls")),
    path("", include("backend.reminders.urls")),
    path("", include("backend.aftercare.urls")),
    path("", include("backend.treatment.urls")),
    path("", include("backend.insights.urls")),
    path("", include("backend.interop.urls")),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include(api)),
    path("api/schema/", api_docs.Schema.as_view(), name="schema"),
    path("api/docs/", api_docs.Docs.as_view(url_name="schema"), name="docs"),
    path("api/docs/problems/", api_docs.Problems.as_view(), name="problems"),
    path("favicon.ico", RedirectView.as_view(url="/static/web/mark.svg", permanent=True)),
    path("healthz", about.healthz, name="healthz"),
    path("readyz", about.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("", include("backend.web.urls")),
    *([path("demo/", include("backend.demo.urls"))] if settings.DEMO else []),
]
