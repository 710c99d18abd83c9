"""What a person does with reminders is told in the audit trail, and SQL by hand; what follows from it is not.

Plans, claims and deliveries follow from appointments, series and the clock, by the thousand a second.
"""

from django.db import migrations

from backend.accounts.watching import watch_rows

BY_A_PERSON = "coalesce(current_setting('afterglow.person', true), '') <> ''"
OWN = "rrule IS NOT NULL"


class Migration(migrations.Migration):
    dependencies = [("reminders", "0004_titles_sealed"), ("accounts", "0014_audit")]

    operations = [
        watch_rows(
            "reminders_rule",
            "reminder-rules",
            about="person_id",
            clinic="clinic_id",
            insert=f"NEW.{OWN}",
            update=f"NEW.{OWN} AND {BY_A_PERSON} AND (NEW.title, NEW.rrule, NEW.start_local, NEW.ended_at, NEW.purpose)"
            " IS DISTINCT FROM (OLD.title, OLD.rrule, OLD.start_local, OLD.ended_at, OLD.purpose)",
        ),
        watch_rows(
            "reminders_reminder",
            "reminders",
            about="person_id",
            clinic="clinic_id",
            insert="false",
            update=f"{BY_A_PERSON} AND NEW.status IN ('acknowledged', 'snoozed') "
            "AND (NEW.status, NEW.send_at) IS DISTINCT FROM (OLD.status, OLD.send_at)",
        ),
    ]
