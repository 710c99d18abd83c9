"""The dispatcher's changes get their numbers by a function, since its role sees no counters."""

from django.db import migrations

CREATE = """
CREATE FUNCTION reminders_number_changes(most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  waiting uuid[];
  free uuid[];
  numbered integer;
BEGIN
  SELECT array_agg(DISTINCT person_id) INTO waiting FROM (
    SELECT person_id FROM reminders_reminder WHERE change_number IS NULL ORDER BY person_id LIMIT most) AS unnumbered;
  IF waiting IS NULL THEN
    RETURN 0;
  END IF;
  INSERT INTO accounts_patientcounter (patient_id, value)
    SELECT u.id, 0 FROM unnest(waiting) AS u(id)
    WHERE NOT EXISTS (SELECT FROM accounts_patientcounter c WHERE c.patient_id = u.id)
    ORDER BY u.id ON CONFLICT DO NOTHING;
  -- Whoever is writing holds the counter; such a person's changes get their numbers next time.
  SELECT array_agg(locked.patient_id) INTO free FROM (
    SELECT patient_id FROM accounts_patientcounter WHERE patient_id = ANY(waiting)
    ORDER BY patient_id FOR NO KEY UPDATE SKIP LOCKED) AS locked;
  -- A row's first number is its birth and leaves the version at 1.
  WITH turn AS (
    SELECT r.id, r.person_id, row_number() OVER (PARTITION BY r.person_id ORDER BY r.due_at, r.id) AS place
    FROM reminders_reminder r WHERE r.change_number IS NULL AND r.person_id = ANY(free)),
  done AS (
    UPDATE reminders_reminder r
    SET change_number = c.value + turn.place,
        version = r.version + CASE WHEN r.status IN ('planned', 'due') THEN 0 ELSE 1 END
    FROM turn JOIN accounts_patientcounter c ON c.patient_id = turn.person_id
    WHERE r.id = turn.id
    RETURNING r.person_id),
  counted AS (SELECT person_id, count(*) AS n FROM done GROUP BY person_id),
  moved AS (
    UPDATE accounts_patientcounter c SET value = c.value + counted.n FROM counted WHERE c.patient_id = counted.person_id)
  SELECT coalesce(sum(n), 0) INTO numbered FROM counted;
  RETURN numbered;
END
$$;
"""


class Migration(migrations.Migration):
    """Makes the function."""

    dependencies = [("reminders", "0001_rules_ledger_deliveries"), ("accounts", "0001_people_and_clinics")]

    operations = [migrations.RunSQL(CREATE, "DROP FUNCTION reminders_number_changes(integer)")]
