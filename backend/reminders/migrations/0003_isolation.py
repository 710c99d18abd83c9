"""Row-level security for rules, ledger and deliveries; the dispatcher sees them all, as long as it dispatches."""

from importlib import import_module

from django.db import migrations

from backend.accounts.isolation import Share, of_patient_in_clinic, protect

NUMBER = import_module("backend.reminders.migrations.0002_numbering_of_changes").CREATE
# It runs as the owner, who sees nothing without a purpose; the purpose ends with the dispatcher's transaction, and only
# the owner's policies heed it.
NUMBER_AS_OWNER = NUMBER.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").replace(
    "BEGIN\n", "BEGIN\n  PERFORM set_config('afterglow.purpose', 'maintenance: number changes', true);\n", 1
)
WHOSE = of_patient_in_clinic(Share.REMINDERS.value, column="person_id")


class Migration(migrations.Migration):
    dependencies = [("reminders", "0002_numbering_of_changes"), ("accounts", "0005_isolation")]

    operations = [
        *(protect(table, WHOSE, dispatch=True) for table in ("reminders_rule", "reminders_reminder", "reminders_delivery")),
        migrations.RunSQL(
            NUMBER_AS_OWNER, NUMBER.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
        ),
    ]
