"""Addresses of the room."""

from django.urls import path

from backend.interop.api import erasures, exports, retention

urlpatterns = [
    path("exports", exports.Exports.as_view(), name="exports"),
    path("exports/<uuid:id>", exports.ExportDetail.as_view(), name="export"),
    path("exports/<uuid:id>/file", exports.ExportFile.as_view(), name="export-file"),
    path("me/jobs", exports.Jobs.as_view(), name="my-jobs"),
    path("erasure-requests", erasures.ErasureRequests.as_view(), name="erasure-requests"),
    path("erasure-requests/<uuid:id>", erasures.ErasureDetail.as_view(), name="erasure-request"),
    path("erasure-requests/<uuid:id>/confirm", erasures.ErasureConfirm.as_view(), name="erasure-request-confirm"),
    path("erasure-requests/<uuid:id>/cancel", erasures.ErasureCancel.as_view(), name="erasure-request-cancel"),
    path("legal-holds", erasures.LegalHolds.as_view(), name="legal-holds"),
    path("legal-holds/<uuid:id>/lift", erasures.LegalHoldLift.as_view(), name="legal-hold-lift"),
    path("retention-rules", retention.RetentionRules.as_view(), name="retention-rules"),
    path("retention-rules/<slug:kind>", retention.RetentionRuleDetail.as_view(), name="retention-rule"),
    path("rights-settings", retention.ClinicRightsSettings.as_view(), name="rights-settings"),
]
