"""Whatever changes a log or an appointment is told in the audit trail."""

from django.db import migrations

from backend.accounts.watching import watch

LOGS = {
    "aftercare_moodcheckin": "mood-check-ins",
    "aftercare_sleeplog": "sleep-logs",
    "aftercare_exerciselog": "exercise-logs",
    "aftercare_nutritionlog": "nutrition-logs",
    "aftercare_substancelog": "substance-logs",
}


class Migration(migrations.Migration):
    dependencies = [("aftercare", "0003_notes_sealed"), ("accounts", "0014_audit")]

    operations = [
        *(watch(table, kind, about="patient_id", tombstone="deleted_at") for table, kind in LOGS.items()),
        watch(
            "aftercare_appointment",
            "appointments",
            about="patient_id",
            clinic="clinic_id",
            ignored=["expanded_until_at"],
            tombstone="deleted_at",
        ),
        watch("aftercare_occurrence", "appointments/occurrences", about="patient_id"),
    ]
