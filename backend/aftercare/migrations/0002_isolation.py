"""Row-level security for logs, appointments and what stands beside them; earlier versions are as closed as the rows."""

from django.db import migrations

from backend.accounts.isolation import ME, Share, of_patient, of_patient_in_clinic, protect

LOGS = {
    "aftercare_moodcheckin": Share.MOOD,
    "aftercare_sleeplog": Share.SLEEP,
    "aftercare_exerciselog": Share.EXERCISE,
    "aftercare_nutritionlog": Share.NUTRITION,
    "aftercare_substancelog": Share.SUBSTANCES,
}
# An occurrence knows no clinic; its appointment does.
OCCURRENCE = (
    f"patient_id = {ME} OR (patient_id IN (SELECT unnest(afterglow_patients('{Share.APPOINTMENTS.value}'))) "
    "AND EXISTS (SELECT FROM aftercare_appointment a WHERE a.id = appointment_id))"
)


class Migration(migrations.Migration):
    dependencies = [("aftercare", "0001_logs_and_appointments"), ("accounts", "0005_isolation")]

    operations = [
        *(protect(f"{table}{kept}", of_patient(share.value)) for table, share in LOGS.items() for kept in ("", "event")),
        *(
            protect(f"aftercare_appointment{kept}", of_patient_in_clinic(Share.APPOINTMENTS.value))
            for kept in ("", "event")
        ),
        *(protect(f"aftercare_occurrence{kept}", OCCURRENCE) for kept in ("", "event")),
        protect("aftercare_patientstate", of_patient()),
    ]
