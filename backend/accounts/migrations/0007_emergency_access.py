"""What breaking the glass needs: to know that somebody is a patient here, and to find one by name and birth date.

And patients see the invitations of their own caregivers.
"""

from importlib import import_module

from django.db import migrations

from backend.accounts.isolation import HERE, ME, with_key

_before = import_module("backend.accounts.migrations.0005_isolation")

IS_PATIENT_HERE = _before.as_owner(
    "accounts_is_patient_here(patient uuid)",
    "boolean",
    "found boolean;",
    """found := afterglow_works_here() AND EXISTS (SELECT FROM accounts_membership m
    WHERE m.person_id = patient AND m.clinic_id = afterglow_here() AND m.role = 'patient' AND m.ended_at IS NULL);""",
    "RETURN found;",
)
FIND_PATIENT = _before.as_owner(
    "accounts_find_patient(full_name text, born date)",
    "TABLE (id uuid, name varchar, born_on date)",
    "",
    """IF afterglow_me() IS NOT NULL AND afterglow_works_here('{psychiatrist}') THEN
    PERFORM set_config('afterglow.purpose', 'maintenance: accounts_find_patient', true);
    RETURN QUERY SELECT p.id, p.full_name, p.born_on FROM accounts_person p
    JOIN accounts_membership m ON m.person_id = p.id AND m.clinic_id = afterglow_here()
      AND m.role = 'patient' AND m.ended_at IS NULL
    WHERE p.born_on = accounts_find_patient.born AND lower(p.full_name) = lower(accounts_find_patient.full_name)
    ORDER BY p.id LIMIT 20;
  END IF;""",
    "RETURN;",
)
ADMINISTRATORS = f"(clinic_id = {HERE} AND {_before.ADMINISTERS})"
INVITED = f"{with_key('email')} OR email = {_before.MY_ADDRESS}"
SEEN = f"{ADMINISTRATORS} OR {INVITED} OR patient_id = {ME}"


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_caregivers_are_invited")]

    operations = [
        migrations.RunSQL(IS_PATIENT_HERE, "DROP FUNCTION accounts_is_patient_here"),
        migrations.RunSQL(FIND_PATIENT, "DROP FUNCTION accounts_find_patient"),
        migrations.RunSQL(
            f"ALTER POLICY seen ON accounts_invitation USING ({SEEN}); "
            f"ALTER POLICY changed ON accounts_invitation USING ({SEEN})",
            f"ALTER POLICY seen ON accounts_invitation USING ({ADMINISTRATORS} OR {INVITED}); "
            f"ALTER POLICY changed ON accounts_invitation USING ({ADMINISTRATORS} OR {INVITED})",
        ),
    ]
