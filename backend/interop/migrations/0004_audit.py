"""Exports, erasures, holds and what a clinic decides about them are told in the audit trail."""

from django.db import migrations

from backend.accounts.watching import watch, watch_rows


class Migration(migrations.Migration):
    dependencies = [("interop", "0003_isolation"), ("accounts", "0014_audit")]

    operations = [
        # The job's progress is nothing that anybody did.
        watch_rows(
            "interop_export",
            "exports",
            about="patient_id",
            clinic="clinic_id",
            update="NEW.status IS DISTINCT FROM OLD.status",
            inserted="export",
        ),
        watch("interop_erasurerequest", "erasure-requests", about="patient_id", clinic="clinic_id"),
        watch("interop_legalhold", "legal-holds", about="patient_id", clinic="clinic_id"),
        watch("interop_retentionrule", "retention-rules", clinic="clinic_id"),
        watch("interop_rightssettings", "rights-settings", identity="clinic_id", clinic="clinic_id"),
    ]
