"""Row-level security for sessions and side effects, earlier versions too."""

from django.db import migrations

from backend.accounts.isolation import Share, of_patient, of_patient_in_clinic, protect


class Migration(migrations.Migration):
    dependencies = [("treatment", "0001_sessions_and_side_effects"), ("accounts", "0005_isolation")]

    operations = [
        *(
            protect(f"treatment_session{kept}", of_patient_in_clinic(Share.SESSIONS.value))
            for kept in ("", "event")
        ),
        *(protect(f"treatment_sideeffect{kept}", of_patient(Share.SIDE_EFFECTS.value)) for kept in ("", "event")),
    ]
