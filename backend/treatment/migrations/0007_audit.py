"""Whatever changes a session, a side effect or an annotation is told in the audit trail."""

from django.db import migrations

from backend.accounts.watching import watch


class Migration(migrations.Migration):
    dependencies = [("treatment", "0006_annotations_sealed"), ("accounts", "0014_audit")]

    operations = [
        watch("treatment_session", "sessions", about="patient_id", clinic="clinic_id", tombstone="deleted_at"),
        watch(
            "treatment_annotation",
            "patients/annotations",
            about="patient_id",
            clinic="clinic_id",
            tombstone="deleted_at",
        ),
        watch("treatment_sideeffect", "side-effects", about="patient_id", tombstone="deleted_at"),
    ]
