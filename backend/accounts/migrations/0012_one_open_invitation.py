"""Of several open invitations of one person to one role the latest stays; the database keeps it so."""

from django.db import migrations, models

CLOSE_OLDER = (
    "SELECT set_config('afterglow.purpose', 'maintenance: one open invitation', true)",
    "UPDATE accounts_invitation i SET revoked_at = now() WHERE i.accepted_at IS NULL AND i.revoked_at IS NULL "
    "AND EXISTS (SELECT FROM accounts_invitation later WHERE later.clinic_id = i.clinic_id AND later.email = i.email "
    "AND later.role = i.role AND later.patient_id IS NOT DISTINCT FROM i.patient_id "
    "AND later.accepted_at IS NULL AND later.revoked_at IS NULL "
    "AND (later.invited_at, later.id) > (i.invited_at, i.id))",
    "SELECT set_config('afterglow.purpose', '', true)",
)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0011_sessions_know_when_they_were_used")]

    operations = [
        migrations.RunSQL(CLOSE_OLDER, migrations.RunSQL.noop),
        migrations.AddConstraint(
            "invitation",
            models.UniqueConstraint(
                condition=models.Q(accepted_at__isnull=True, revoked_at__isnull=True),
                fields=("clinic", "email", "role", "patient"),
                nulls_distinct=False,
                name="invitation_one_open_for_a_role",
            ),
        ),
    ]
