"""What is sent changes no index any more: `status` is in none, and its number is taken when it becomes due.

Also, a patient's counter is found once where numbers are taken, and contents come as columns instead of JSON.
"""

from importlib import import_module

import django.db.models.functions.comparison
from django.db import migrations, models

as_owner = import_module("backend.accounts.migrations.0005_isolation").as_owner
before = import_module("backend.reminders.migrations.0010_numbers_and_contents_in_batches")
numbering = import_module("backend.reminders.migrations.0003_isolation").NUMBER_AS_OWNER

# By its place in the table (ctid): the row is locked, so it stays there.
TAKE_NUMBERS = as_owner(
    "reminders_take_numbers(people uuid[], counts integer[])",
    "TABLE (person_id uuid, last bigint)",
    "",
    """RETURN QUERY WITH free AS MATERIALIZED (
      SELECT c.ctid AS place, u.n FROM unnest(people, counts) AS u(id, n)
        JOIN accounts_patientcounter c ON c.patient_id = u.id
      ORDER BY c.patient_id FOR NO KEY UPDATE OF c SKIP LOCKED)
    UPDATE accounts_patientcounter c SET value = c.value + f.n FROM free f WHERE c.ctid = f.place
    RETURNING c.patient_id, c.value;""",
    "RETURN;",
)
# As in 0010, where the rule is told.
CONTENTS = as_owner(
    "reminders_contents(in_hand uuid[], shown uuid, moment timestamptz, ways text[], words integer[])",
    """TABLE (id uuid, person_id uuid, email text, time_zone text, locale text, country text, phone text,
      phone_confirmed_at timestamptz, detailed_messages_at timestamptz, deactivated_at timestamptz, channels text,
      reminder_choices text, clinic_id uuid, short_name text, clinic_phone text, clinic_country text,
      clinic_time_zone text, devices text, blocked text[], agreed boolean)""",
    "",
    """RETURN QUERY SELECT d.id, p.id, p.email::text, p.time_zone::text, p.locale::text, p.country::text, p.phone::text,
    p.phone_confirmed_at, p.detailed_messages_at, p.deactivated_at, p.channels::text, p.reminder_choices::text,
    c.id, c.short_name::text, c.phone::text, c.country::text, c.time_zone::text,
    (SELECT json_agg(json_build_object('id', v.id, 'platform', v.platform, 'push', v.push) ORDER BY v.seen_at DESC)
      FROM accounts_device v WHERE v.person_id = p.id AND v.push IS NOT NULL)::text,
    ARRAY(SELECT b.fingerprint::text FROM reminders_blockedaddress b WHERE b.person_id = p.id),
    EXISTS (SELECT FROM (
        SELECT d.clinic_id AS id WHERE d.clinic_id IS NOT NULL
        UNION SELECT r.clinic_id FROM accounts_consentrecord r WHERE d.clinic_id IS NULL AND r.patient_id = p.id) asked
      CROSS JOIN LATERAL (
        SELECT r.act, r.version FROM accounts_consentrecord r
        WHERE r.patient_id = p.id AND r.clinic_id = asked.id AND r.purpose = 'messages_' || d.channel
        ORDER BY r.id DESC LIMIT 1) newest
      WHERE newest.act = 'agreed' AND newest.version >= coalesce(
        (SELECT max(w.version) FROM accounts_consentdocument w WHERE w.clinic_id = asked.id
           AND w.purpose = 'messages_' || d.channel AND w.binding_at <= moment),
        words[array_position(ways, d.channel::text)]))
      OR NOT EXISTS (SELECT FROM accounts_membership m WHERE m.person_id = p.id AND m.role = 'patient'
        AND (d.clinic_id IS NULL OR m.clinic_id = d.clinic_id))
    FROM unnest(in_hand) AS h(id) JOIN reminders_delivery d ON d.id = h.id
      JOIN accounts_person p ON p.id = d.person_id LEFT JOIN accounts_clinic c ON c.id = d.clinic_id
    WHERE d.lease_token = shown AND d.status IN ('leased', 'sending') AND d.channel = ANY(ways);""",
    "RETURN;",
)
# That it is due is a change; only its birth leaves the version at 1.
NUMBER_CHANGES = numbering.replace("r.status IN ('planned', 'due')", "r.status = 'planned'")


# Checked with each statement: to keep a claim's rows until its end costs more than to look.
AT_ONCE = """DO $$
DECLARE found record;
BEGIN
  FOR found IN SELECT conrelid::regclass AS holder, conname FROM pg_constraint
    WHERE contype = 'f' AND conrelid IN ('reminders_reminder'::regclass, 'reminders_delivery'::regclass)
  LOOP
    EXECUTE format('ALTER TABLE %s ALTER CONSTRAINT %I NOT DEFERRABLE', found.holder, found.conname);
  END LOOP;
END $$"""


def anew(create: str) -> str:
    """The same function in other words, with the rights that it has."""
    return create.partition("REVOKE")[0].replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")


class Migration(migrations.Migration):
    dependencies = [("reminders", "0011_lanes_by_channel")]

    operations = [
        migrations.RemoveIndex("reminder", "reminder_to_claim"),
        migrations.RemoveIndex("reminder", "reminder_to_expire"),
        migrations.RemoveIndex("reminder", "reminder_to_nudge"),
        migrations.AddField(
            "reminder",
            "claim_at",
            models.GeneratedField(
                db_persist=True,
                expression=models.Case(
                    models.When(
                        status__in=["planned", "snoozed"],
                        then=django.db.models.functions.comparison.Coalesce("send_at", "expires_at"),
                    )
                ),
                output_field=models.DateTimeField(null=True),
            ),
        ),
        migrations.AddField(
            "reminder",
            "to_nudge_at",
            models.GeneratedField(
                db_persist=True,
                expression=models.Case(models.When(status="sent", then=models.F("nudge_at"))),
                output_field=models.DateTimeField(null=True),
            ),
        ),
        migrations.AddIndex(
            "reminder",
            models.Index(
                condition=models.Q(claim_at__isnull=False),
                fields=["reminder_class", "claim_at"],
                name="reminder_to_claim",
            ),
        ),
        migrations.AddIndex(
            "reminder",
            models.Index(
                condition=models.Q(to_nudge_at__isnull=False), fields=["to_nudge_at"], name="reminder_to_nudge"
            ),
        ),
        # Room on each page for what is sent.
        migrations.RunSQL(
            "ALTER TABLE reminders_reminder SET (fillfactor = 75)",
            "ALTER TABLE reminders_reminder RESET (fillfactor)",
        ),
        migrations.RunSQL(AT_ONCE, AT_ONCE.replace("NOT DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED")),
        migrations.RunSQL(
            "DROP FUNCTION reminders_contents(uuid[], uuid, timestamptz, text[], integer[]);"
            + CONTENTS.replace("TO afterglow_app", "TO afterglow_dispatch"),
            "DROP FUNCTION reminders_contents(uuid[], uuid, timestamptz, text[], integer[]);"
            + before.CONTENTS.replace("TO afterglow_app", "TO afterglow_dispatch"),
        ),
        migrations.RunSQL(anew(TAKE_NUMBERS), anew(before.TAKE_NUMBERS)),
        migrations.RunSQL(NUMBER_CHANGES, numbering),
    ]
