"""What only the owner may remove, as functions that the application's role may call: for one approved purpose each.

History and consents refuse deletions by trigger, and no policy lets a job touch another person's rows. So that the
application needs neither right, these functions run as the owner, check the decision in its own row (approved, its days
over, no legal hold), and remove rows of exactly the person, or exactly by the rule, that the row names.
"""

from django.db import migrations

# Row triggers of history and append-only tables sleep while a row is removed for good; statement triggers, by which an
# audit sees that something was removed, do not.
ASLEEP = """
CREATE FUNCTION interop_row_triggers(target text) RETURNS text LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  SELECT coalesce(array_agg(tgname::text), '{}')::text FROM pg_trigger
  WHERE tgrelid = format('public.%I', target)::regclass AND NOT tgisinternal AND tgtype & 1 = 1
    AND tgname LIKE 'pgtrigger_%'
$$
"""

BEGIN = """
CREATE FUNCTION interop_begin_erasure(request uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  purpose text := coalesce(current_setting('afterglow.purpose', true), '');
  whose uuid;
BEGIN
  PERFORM set_config('afterglow.purpose', 'maintenance erasure', true);
  UPDATE interop_erasurerequest r SET status = 'erasing'
  WHERE r.id = request AND r.status = 'cooling' AND r.erase_after_at <= clock_timestamp()
    AND NOT EXISTS (SELECT FROM interop_legalhold h WHERE h.patient_id = r.patient_id AND h.lifted_at IS NULL)
  RETURNING r.patient_id INTO whose;
  IF whose IS NULL THEN
    RAISE EXCEPTION 'this erasure is not due, or a legal hold keeps the patient' USING ERRCODE = 'insufficient_privilege';
  END IF;
  -- From now on nothing new comes in: the account is closed, unless it is also one of a clinic's staff.
  UPDATE accounts_person p SET deactivated_at = coalesce(p.deactivated_at, clock_timestamp())
  WHERE p.id = whose AND NOT EXISTS (
    SELECT FROM accounts_membership m WHERE m.person_id = whose AND m.role NOT IN ('patient', 'caregiver'));
  PERFORM set_config('afterglow.purpose', purpose, true);
  RETURN true;
END
$$
"""

SUBJECT = """
CREATE FUNCTION interop_erasure_subject(request uuid) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  purpose text := coalesce(current_setting('afterglow.purpose', true), '');
  whose uuid;
BEGIN
  PERFORM set_config('afterglow.purpose', 'maintenance erasure', true);
  SELECT r.patient_id INTO whose FROM interop_erasurerequest r
  WHERE r.id = request AND r.status = 'erasing' AND r.erase_after_at <= clock_timestamp()
    AND (r.source = 'ledger' OR NOT EXISTS (
      SELECT FROM interop_legalhold h WHERE h.patient_id = r.patient_id AND h.lifted_at IS NULL));
  PERFORM set_config('afterglow.purpose', purpose, true);
  IF whose IS NULL THEN
    RAISE EXCEPTION 'nobody approved this erasure, or a legal hold keeps the patient'
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN whose;
END
$$
"""

WORKS = """
CREATE FUNCTION interop_subject_works(request uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  purpose text := coalesce(current_setting('afterglow.purpose', true), '');
  whose uuid := interop_erasure_subject(request);
  works boolean;
BEGIN
  PERFORM set_config('afterglow.purpose', 'maintenance erasure', true);
  -- The row is locked first: what is being written about the person at this moment waits, and then finds nobody.
  PERFORM FROM accounts_person WHERE id = whose FOR UPDATE;
  SELECT EXISTS (SELECT FROM accounts_membership m
    WHERE m.person_id = whose AND m.role NOT IN ('patient', 'caregiver')) INTO works;
  IF works THEN
    DELETE FROM accounts_membership m WHERE m.person_id = whose AND m.role IN ('patient', 'caregiver');
  END IF;
  PERFORM set_config('afterglow.purpose', purpose, true);
  RETURN works;
END
$$
"""

ERASE = """
CREATE FUNCTION interop_erase_rows(request uuid, target text, holder text, by_address boolean) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  purpose text := coalesce(current_setting('afterglow.purpose', true), '');
  ignored text := coalesce(nullif(current_setting('pgtrigger.ignore', true), ''), '{}');
  whose uuid := interop_erasure_subject(request);
  address text;
  gone bigint;
BEGIN
  IF target LIKE '%audit%' OR target IN ('interop_erasurerequest', 'interop_legalhold') THEN
    RAISE EXCEPTION '% keeps what was done and is never erased', target USING ERRCODE = 'insufficient_privilege';
  END IF;
  PERFORM set_config('afterglow.purpose', 'maintenance erasure', true);
  PERFORM set_config('pgtrigger.ignore', interop_row_triggers(target), true);
  IF by_address THEN
    SELECT p.email INTO address FROM accounts_person p WHERE p.id = whose;
    EXECUTE format('DELETE FROM public.%I WHERE lower(%I) = $1', target, holder) USING address;
  ELSE
    EXECUTE format('DELETE FROM public.%I WHERE %I = $1', target, holder) USING whose;
  END IF;
  GET DIAGNOSTICS gone = ROW_COUNT;
  PERFORM set_config('pgtrigger.ignore', ignored, true);
  PERFORM set_config('afterglow.purpose', purpose, true);
  RETURN gone;
END
$$
"""

RETAIN = """
CREATE FUNCTION interop_retain_rows(
  the_rule uuid, target text, holder text, own_time text, clinic_column text, parent text, link text,
  present timestamptz, only_count boolean) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  purpose text := coalesce(current_setting('afterglow.purpose', true), '');
  ignored text := coalesce(nullif(current_setting('pgtrigger.ignore', true), ''), '{}');
  rule record;
  held uuid[];
  chosen text;
  gone bigint;
BEGIN
  PERFORM set_config('afterglow.purpose', 'maintenance retention', true);
  SELECT r.clinic_id, r.kind, r.keep_days INTO rule FROM interop_retentionrule r WHERE r.id = the_rule;
  IF rule IS NULL OR target LIKE '%audit%' THEN
    RAISE EXCEPTION 'no rule of a clinic allows this' USING ERRCODE = 'insufficient_privilege';
  END IF;
  present := least(present, clock_timestamp());
  SELECT coalesce(array_agg(h.patient_id), '{}') INTO held FROM interop_legalhold h WHERE h.lifted_at IS NULL;
  IF parent <> '' THEN
    chosen := format('public.%I t WHERE t.%I IN (SELECT p.id FROM public.%I p WHERE p.clinic_id = $1 AND p.%I < $2 '
      'AND NOT p.%I = ANY($4)) AND $3::text IS NOT NULL', target, link, parent, own_time, holder);
  ELSIF clinic_column <> '' THEN
    chosen := format('public.%I t WHERE t.%I = $1 AND t.%I < $2 AND NOT t.%I = ANY($4) AND $3::text IS NOT NULL',
      target, clinic_column, own_time, holder);
  ELSE
    -- A patient of several clinics: each must have a rule, and the longest counts.
    chosen := format('public.%I t WHERE NOT t.%2$I = ANY($4) AND t.%2$I IN ('
      'SELECT m.person_id FROM accounts_membership m WHERE m.role = ''patient'' AND m.clinic_id = $1) AND t.%3$I < ('
      'SELECT CASE WHEN bool_and(o.id IS NOT NULL) THEN $5 - make_interval(days => max(o.keep_days)) END '
      'FROM accounts_membership m LEFT JOIN interop_retentionrule o ON o.clinic_id = m.clinic_id AND o.kind = $3 '
      'WHERE m.role = ''patient'' AND m.person_id = t.%2$I) AND t.%3$I < $2', target, holder, own_time);
  END IF;
  chosen := chosen || ' AND $5::timestamptz IS NOT NULL';
  IF only_count THEN
    EXECUTE 'SELECT count(*) FROM ' || chosen INTO gone
      USING rule.clinic_id, present - make_interval(days => rule.keep_days), rule.kind, held, present;
  ELSE
    PERFORM set_config('pgtrigger.ignore', interop_row_triggers(target), true);
    EXECUTE 'DELETE FROM ' || chosen
      USING rule.clinic_id, present - make_interval(days => rule.keep_days), rule.kind, held, present;
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM set_config('pgtrigger.ignore', ignored, true);
  END IF;
  PERFORM set_config('afterglow.purpose', purpose, true);
  RETURN gone;
END
$$
"""

ELSEWHERE = """
CREATE FUNCTION interop_patient_elsewhere(patient uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  purpose text := coalesce(current_setting('afterglow.purpose', true), '');
  found boolean;
BEGIN
  IF NOT afterglow_works_here('{administrator}') THEN
    RETURN NULL;
  END IF;
  PERFORM set_config('afterglow.purpose', 'maintenance: interop_patient_elsewhere', true);
  -- For an administrator, of a patient of the own clinic; of which other clinic it is, stays there.
  found := EXISTS (SELECT FROM accounts_membership m WHERE m.person_id = patient AND m.clinic_id = afterglow_here()
      AND m.role = 'patient')
    AND EXISTS (SELECT FROM accounts_membership m WHERE m.person_id = patient AND m.clinic_id <> afterglow_here()
      AND m.role = 'patient' AND m.ended_at IS NULL);
  PERFORM set_config('afterglow.purpose', purpose, true);
  RETURN found;
END
$$
"""

NAMES = (
    "interop_row_triggers(text)",
    "interop_begin_erasure(uuid)",
    "interop_erasure_subject(uuid)",
    "interop_subject_works(uuid)",
    "interop_erase_rows(uuid, text, text, boolean)",
    "interop_retain_rows(uuid, text, text, text, text, text, text, timestamptz, boolean)",
    "interop_patient_elsewhere(uuid)",
)


class Migration(migrations.Migration):
    """Makes the functions; only the application's role may call them."""

    dependencies = [
        ("interop", "0001_exports_erasure_retention"),
        ("accounts", "0010_consents"),
    ]

    operations = [
        migrations.RunSQL(
            [
                ASLEEP, BEGIN, SUBJECT, WORKS, ERASE, RETAIN, ELSEWHERE,
                *(f"REVOKE ALL ON FUNCTION {name} FROM PUBLIC" for name in NAMES),
                *(f"GRANT EXECUTE ON FUNCTION {name} TO afterglow_app" for name in NAMES[1:]),
            ],
            [f"DROP FUNCTION {name}" for name in reversed(NAMES)],
        )
    ]
