"""What the dispatcher may ask of the owner for a whole batch: change numbers, and what goes into the letters in hand."""

from importlib import import_module

from django.db import migrations

as_owner = import_module("backend.accounts.migrations.0005_isolation").as_owner

# The numbers of several patients' changes at once. Whoever is just writing holds the counter; such a patient is left
# out, and the change gets its number later (reminders_number_changes).
TAKE_NUMBERS = as_owner(
    "reminders_take_numbers(people uuid[], counts integer[])",
    "TABLE (person_id uuid, last bigint)",
    "",
    """RETURN QUERY WITH wanted AS (SELECT * FROM unnest(people, counts) AS u(id, n)),
    free AS (SELECT c.patient_id FROM accounts_patientcounter c WHERE c.patient_id = ANY(people)
      ORDER BY c.patient_id FOR NO KEY UPDATE SKIP LOCKED)
    UPDATE accounts_patientcounter c SET value = c.value + w.n FROM wanted w JOIN free f ON f.patient_id = w.id
    WHERE c.patient_id = w.id RETURNING c.patient_id, c.value;""",
    "RETURN;",
)
# Of deliveries that are in hand under this token and no others: where they go, by which words, and whether the person
# agrees to the channel. The rule of consents.py: the newest act decides, until a later version binds; only patients are
# asked. Nothing that anybody wrote about a patient is among it.
CONTENTS = as_owner(
    "reminders_contents(in_hand uuid[], shown uuid, moment timestamptz, ways text[], words integer[])",
    "TABLE (id uuid, person text, devices text, blocked text[], clinic text, agreed boolean)",
    "",
    """RETURN QUERY SELECT d.id,
    json_build_object('id', p.id, 'email', p.email, 'time_zone', p.time_zone, 'locale', p.locale, 'country', p.country,
      'phone', p.phone, 'phone_confirmed_at', p.phone_confirmed_at, 'detailed_messages_at', p.detailed_messages_at,
      'deactivated_at', p.deactivated_at, 'channels', p.channels, 'reminder_choices', p.reminder_choices)::text,
    (SELECT json_agg(json_build_object('id', v.id, 'platform', v.platform, 'push', v.push) ORDER BY v.seen_at DESC)
      FROM accounts_device v WHERE v.person_id = p.id AND v.push IS NOT NULL)::text,
    ARRAY(SELECT b.fingerprint::text FROM reminders_blockedaddress b WHERE b.person_id = p.id),
    (SELECT json_build_object('id', c.id, 'short_name', c.short_name, 'phone', c.phone, 'country', c.country,
      'time_zone', c.time_zone) FROM accounts_clinic c WHERE c.id = d.clinic_id)::text,
    EXISTS (SELECT FROM (
        SELECT DISTINCT ON (r.clinic_id) r.clinic_id, r.act, r.version FROM accounts_consentrecord r
        WHERE r.patient_id = p.id AND r.purpose = 'messages_' || d.channel
          AND (d.clinic_id IS NULL OR r.clinic_id = d.clinic_id)
        ORDER BY r.clinic_id, r.id DESC) s
      WHERE s.act = 'agreed' AND s.version >= coalesce(
        (SELECT max(w.version) FROM accounts_consentdocument w WHERE w.clinic_id = s.clinic_id
           AND w.purpose = 'messages_' || d.channel AND w.binding_at <= moment), ours.version))
      OR NOT EXISTS (SELECT FROM accounts_membership m WHERE m.person_id = p.id AND m.role = 'patient'
        AND (d.clinic_id IS NULL OR m.clinic_id = d.clinic_id))
    FROM reminders_delivery d JOIN accounts_person p ON p.id = d.person_id
      JOIN unnest(ways, words) AS ours(channel, version) ON ours.channel = d.channel
    WHERE d.id = ANY(in_hand) AND d.lease_token = shown AND d.status IN ('leased', 'sending');""",
    "RETURN;",
)


class Migration(migrations.Migration):
    dependencies = [("reminders", "0009_codes_for_numbers")]

    operations = [
        migrations.RunSQL(
            (TAKE_NUMBERS + CONTENTS).replace("TO afterglow_app", "TO afterglow_dispatch"),
            "DROP FUNCTION reminders_take_numbers(uuid[], integer[]);"
            "DROP FUNCTION reminders_contents(uuid[], uuid, timestamptz, text[], integer[])",
        ),
        # The list of a person serves who settles as well: one index less for each row that the claim writes.
        migrations.RemoveIndex("reminder", "reminder_to_settle"),
    ]
