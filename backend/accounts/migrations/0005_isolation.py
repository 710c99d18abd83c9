"""Row-level security for everything that accounts holds, and the functions that all policies ask.

Functions that must look further than the asker may see run as the owner under a maintenance purpose, which they take
back before they answer; each answers for the asker, or for one key, and for nothing else.
"""

from django.db import migrations

from backend.accounts.isolation import (
    HERE,
    IN_ANY_CONTEXT,
    MACHINE,
    ME,
    for_purpose,
    of_patient,
    of_people,
    of_person,
    protect,
    with_key,
)

CONTEXT = """
CREATE FUNCTION afterglow_me() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT nullif(current_setting('afterglow.person', true), '')::uuid $$;
CREATE FUNCTION afterglow_here() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT nullif(current_setting('afterglow.clinic', true), '')::uuid $$;
CREATE FUNCTION afterglow_at() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT coalesce(nullif(current_setting('afterglow.at', true), '')::timestamptz, now()) $$;
"""


def as_owner(signature: str, returns: str, declare: str, body: str, result: str) -> str:
    """A function that looks as the owner, under a purpose that it sets for its own duration."""
    return f"""
CREATE FUNCTION {signature} RETURNS {returns}
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  was text := coalesce(current_setting('afterglow.purpose', true), '');
  {declare}
BEGIN
  PERFORM set_config('afterglow.purpose', 'maintenance: {signature.partition("(")[0]}', true);
  {body}
  PERFORM set_config('afterglow.purpose', was, true);
  {result}
END $$;
REVOKE ALL ON FUNCTION {signature.split(" DEFAULT")[0] + (")" if " DEFAULT" in signature else "")} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {signature.split(" DEFAULT")[0] + (")" if " DEFAULT" in signature else "")} TO afterglow_app;
"""


WORKS_HERE = as_owner(
    "afterglow_works_here(roles text[] DEFAULT '{psychiatrist,therapist,nurse,administrator,auditor}')",
    "boolean",
    "found boolean;",
    """found := afterglow_here() IS NOT NULL AND (afterglow_me() IS NULL OR EXISTS (
    SELECT FROM accounts_membership m WHERE m.person_id = afterglow_me() AND m.clinic_id = afterglow_here()
      AND m.ended_at IS NULL AND m.role = ANY(roles)));""",
    "RETURN found;",
)

# Whose records: for the clinic's machine all of its patients'; else those of the own care teams while both still belong
# to the clinic, those opened in an emergency, and what patients chose to share.
PATIENTS = as_owner(
    "afterglow_patients(share text)",
    "uuid[]",
    "found uuid[]; me uuid := afterglow_me(); here uuid := afterglow_here();",
    """IF me IS NULL THEN
    found := ARRAY(SELECT m.person_id FROM accounts_membership m WHERE m.clinic_id = here AND m.role = 'patient');
  ELSE
    found := ARRAY(
      SELECT t.patient_id FROM accounts_careteammember t
      JOIN accounts_membership p ON p.person_id = t.patient_id AND p.clinic_id = t.clinic_id
        AND p.role = 'patient' AND p.ended_at IS NULL
      WHERE t.member_id = me AND t.clinic_id = here AND t.ended_at IS NULL
        AND EXISTS (SELECT FROM accounts_membership m WHERE m.person_id = me AND m.clinic_id = here
          AND m.ended_at IS NULL AND m.role IN ('psychiatrist', 'therapist', 'nurse'))
      UNION ALL
      SELECT b.patient_id FROM accounts_breakglass b
      WHERE b.person_id = me AND b.clinic_id = here AND b.closes_at > afterglow_at()
      UNION ALL
      SELECT c.patient_id FROM accounts_caregiver c
      WHERE c.person_id = me AND c.ended_at IS NULL AND share <> '' AND share = ANY(c.shares));
  END IF;""",
    "RETURN found;",
)

# Whose name and address: colleagues and own patients for staff, everybody of the clinic for its machine, administrators
# and auditors; the own care team, caregivers and those cared for in any case.
PEOPLE = as_owner(
    "afterglow_people()",
    "uuid[]",
    "found uuid[]; me uuid := afterglow_me(); here uuid := afterglow_here(); works text[];",
    """IF me IS NULL THEN
    found := ARRAY(SELECT m.person_id FROM accounts_membership m WHERE m.clinic_id = here);
  ELSE
    works := ARRAY(SELECT m.role FROM accounts_membership m WHERE m.person_id = me AND m.clinic_id = here
      AND m.ended_at IS NULL AND m.role NOT IN ('patient', 'caregiver'));
    found := ARRAY(
      SELECT m.person_id FROM accounts_membership m WHERE m.clinic_id = here AND cardinality(works) > 0
        AND (m.role NOT IN ('patient', 'caregiver') OR works && ARRAY['administrator', 'auditor'])
      UNION SELECT t.member_id FROM accounts_careteammember t WHERE t.patient_id = me
      UNION SELECT c.person_id FROM accounts_caregiver c WHERE c.patient_id = me
      UNION SELECT c.patient_id FROM accounts_caregiver c WHERE c.person_id = me AND c.ended_at IS NULL
      UNION SELECT unnest(afterglow_patients('')));
    PERFORM set_config('afterglow.purpose', 'maintenance: afterglow_people', true);
  END IF;""",
    "RETURN found;",
)

# Who holds a token: the session's data, the roles held now, the person. Nothing for one who was deactivated.
IDENTIFY = as_owner(
    "accounts_identify(token text, at timestamptz)",
    "TABLE (data text, roles text, person accounts_person)",
    "",
    """RETURN QUERY SELECT s.session_data, (SELECT coalesce(json_agg(json_build_array(m.clinic_id, m.role)
      ORDER BY m.since_at, m.id), '[]')::text FROM accounts_membership m
      WHERE m.person_id = p.id AND m.ended_at IS NULL), p
    FROM accounts_session s JOIN accounts_person p ON p.id = s.person_id
    WHERE s.session_key = token AND s.expire_date > at AND p.deactivated_at IS NULL;""",
    "RETURN;",
)

SESSIONS = (
    as_owner(
        "accounts_session_read(token text, at timestamptz)",
        "TABLE (data text, expires_at timestamptz)",
        "",
        """RETURN QUERY SELECT s.session_data, s.expire_date FROM accounts_session s
    WHERE s.session_key = token AND s.expire_date > at;""",
        "RETURN;",
    )
    + as_owner(
        "accounts_session_exists(token text)",
        "boolean",
        "found boolean;",
        "found := EXISTS (SELECT FROM accounts_session s WHERE s.session_key = token);",
        "RETURN found;",
    )
    # A new one must not exist yet, any other must. False when that was not so.
    + as_owner(
        "accounts_session_write(token text, data text, expires_at timestamptz, person uuid, is_new boolean)",
        "boolean",
        "written integer;",
        """IF is_new THEN
    INSERT INTO accounts_session (session_key, session_data, expire_date, person_id)
    VALUES (token, data, expires_at, person) ON CONFLICT (session_key) DO NOTHING;
  ELSE
    UPDATE accounts_session s SET session_data = data, expire_date = expires_at, person_id = person
    WHERE s.session_key = token;
  END IF;
  GET DIAGNOSTICS written = ROW_COUNT;""",
        "RETURN written > 0;",
    )
    + as_owner(
        "accounts_session_delete(token text)",
        "void",
        "",
        "DELETE FROM accounts_session s WHERE s.session_key = token;",
        "RETURN;",
    )
    + as_owner(
        "accounts_session_expire(at timestamptz)",
        "integer",
        "gone integer;",
        """DELETE FROM accounts_session s WHERE s.expire_date <= at;
  GET DIAGNOSTICS gone = ROW_COUNT;""",
        "RETURN gone;",
    )
)

HAS_ACCOUNT = as_owner(
    "accounts_has_account(address text)",
    "boolean",
    "found boolean;",
    "found := EXISTS (SELECT FROM accounts_person p WHERE p.email = address);",
    "RETURN found;",
)

ADMINISTERS = "(SELECT afterglow_works_here('{administrator}'))"
OVERSEES = "(SELECT afterglow_works_here('{administrator,auditor}'))"
MACHINE_OF = f"({MACHINE} AND {{column}} IN (SELECT unnest(afterglow_people())))"
MY_ADDRESS = f"(SELECT p.email FROM accounts_person p WHERE p.id = {ME})"


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_openings_of_a_record"),
        ("account", "0009_emailaddress_unique_primary_email"),
        ("pghistory", "0007_auto_20250421_0444"),
    ]

    operations = [
        migrations.RunSQL(CONTEXT, "DROP FUNCTION afterglow_me(), afterglow_here(), afterglow_at()"),
        migrations.RunSQL(WORKS_HERE, "DROP FUNCTION afterglow_works_here"),
        migrations.RunSQL(PATIENTS, "DROP FUNCTION afterglow_patients"),
        migrations.RunSQL(PEOPLE, "DROP FUNCTION afterglow_people"),
        migrations.RunSQL(IDENTIFY, "DROP FUNCTION accounts_identify"),
        migrations.RunSQL(
            SESSIONS,
            "DROP FUNCTION accounts_session_read, accounts_session_exists, accounts_session_write, "
            "accounts_session_delete, accounts_session_expire",
        ),
        migrations.RunSQL(HAS_ACCOUNT, "DROP FUNCTION accounts_has_account"),
        protect(
            "accounts_clinic",
            f"id = {HERE} OR id IN (SELECT m.clinic_id FROM accounts_membership m WHERE m.person_id = {ME}) "
            f"OR {for_purpose('every clinic')}",
            insert=f"id = {HERE}",
            write=f"id = {HERE} AND {ADMINISTERS}",
        ),
        protect(
            "accounts_person",
            f"{of_people('id')} OR {with_key('email')} OR {with_key('id::text')}",
            insert=IN_ANY_CONTEXT,
            write=f"id = {ME} OR {MACHINE_OF.format(column='id')}",
        ),
        protect("accounts_session", f"{of_person()} OR {MACHINE_OF.format(column='person_id')}"),
        protect(
            "accounts_membership",
            f"person_id = {ME} OR (clinic_id = {HERE} AND person_id IN (SELECT unnest(afterglow_people())))",
            insert=f"clinic_id = {HERE} AND {ADMINISTERS}",
            write=f"clinic_id = {HERE} AND {ADMINISTERS}",
        ),
        protect(
            "accounts_careteammember",
            f"patient_id = {ME} OR member_id = {ME} OR (clinic_id = {HERE} AND (SELECT afterglow_works_here()))",
            write=f"clinic_id = {HERE} AND {ADMINISTERS}",
        ),
        protect(
            "accounts_breakglass",
            f"patient_id = {ME} OR person_id = {ME} OR (clinic_id = {HERE} AND {OVERSEES})",
            insert=f"person_id = {ME} AND clinic_id = {HERE} "
            "AND (SELECT afterglow_works_here('{psychiatrist,therapist,nurse}'))",
            write=f"clinic_id = {HERE} AND {MACHINE}",
        ),
        protect(
            "accounts_caregiver",
            f"{of_patient()} OR person_id = {ME}",
            write=f"patient_id = {ME} OR (clinic_id = {HERE} AND {MACHINE})",
        ),
        protect(
            "accounts_zonestay",
            of_people(),
            write=f"{of_person()} OR {MACHINE_OF.format(column='person_id')}",
        ),
        protect("accounts_patientcounter", of_patient()),
        protect("accounts_device", of_person()),
        protect(
            "accounts_invitation",
            f"(clinic_id = {HERE} AND {ADMINISTERS}) OR {with_key('email')} OR email = {MY_ADDRESS}",
            insert=f"clinic_id = {HERE} AND {ADMINISTERS}",
        ),
        protect("accounts_signinattempt", for_purpose("sign-in")),
        protect("accounts_outboxmail", for_purpose("outbox"), insert=IN_ANY_CONTEXT),
        protect(
            "account_emailaddress",
            f"user_id = {ME} OR {with_key('email')} OR {with_key('user_id::text')}",
            insert=IN_ANY_CONTEXT,
        ),
        protect(
            "account_emailconfirmation",
            "EXISTS (SELECT FROM account_emailaddress a WHERE a.id = email_address_id)",
        ),
        # Who made an earlier version, in what request: the row of this very transaction, and a clinic's for its overseers.
        protect(
            "pghistory_context",
            "id::text = (SELECT current_setting('pghistory.context_id', true)) "
            f"OR (metadata ->> 'clinic' = {HERE}::text AND {OVERSEES})",
            insert=IN_ANY_CONTEXT,
        ),
    ]
