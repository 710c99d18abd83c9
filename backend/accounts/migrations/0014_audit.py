"""The audit trail: its tables, the functions that alone write them, the triggers on everything that accounts holds."""

import django.contrib.postgres.fields
from django.db import migrations, models

from backend.accounts.isolation import HERE, ME, for_purpose, protect
from backend.accounts.watching import watch, watch_rows

# One event. Who, where and from where come from the context of `access.acting_as`. `once` is 'request' for a read that
# is none when the request wrote (which is told already), and 'hour' for a person's reads of the own record, which are
# one event per device and hour: the id says so, and the second finds it taken.
WRITE = """
CREATE FUNCTION audit_write(
  did text, kind text, ids uuid[], about uuid[], why text, proof bytea, place uuid, who uuid, once text
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  moment timestamptz := clock_timestamp();
  was text := coalesce(current_setting('afterglow.purpose', true), '');
  tool text := coalesce(current_setting('afterglow.device', true), '');
  address_sent text := coalesce(current_setting('afterglow.key', true), '');
  actor uuid := coalesce(who, nullif(current_setting('afterglow.person', true), '')::uuid);
  clinic uuid := coalesce(place, nullif(current_setting('afterglow.clinic', true), '')::uuid);
  start bytea := substring(int8send((extract(epoch FROM moment) * 1000)::bigint) FROM 3);
  rest bytea := substring(uuid_send(gen_random_uuid()) FROM 7);
  fresh uuid;
BEGIN
  IF once = 'request' AND current_setting('afterglow.audited', true) = 'yes' THEN
    RETURN;
  END IF;
  IF kind = 'sign-in' AND did = 'sign_in_failed' AND actor IS NULL AND address_sent <> '' THEN
    PERFORM set_config('afterglow.purpose', 'maintenance: audit', true);
    SELECT p.id INTO actor FROM accounts_person p WHERE p.email = address_sent;
    PERFORM set_config('afterglow.purpose', was, true);
  END IF;
  IF kind = 'sign-in' AND actor IS NOT NULL THEN
    about := ARRAY[actor];  -- one's own account, and seen by a patient as such
  END IF;
  IF once = 'hour' THEN
    start := substring(int8send((extract(epoch FROM date_trunc('hour', moment)) * 1000)::bigint) FROM 3);
    rest := substring(sha256(convert_to(concat_ws(' ', actor, clinic, tool), 'UTF8')) FOR 10);
  END IF;
  IF clinic IS NULL THEN
    -- SQL by hand or a sign-in: the clinic of the one whom it is about must see it.
    PERFORM set_config('afterglow.purpose', 'maintenance: audit', true);
    SELECT m.clinic_id INTO clinic FROM accounts_membership m WHERE m.person_id = coalesce(about[1], actor)
    ORDER BY m.ended_at IS NOT NULL, m.since_at, m.id LIMIT 1;
    PERFORM set_config('afterglow.purpose', was, true);
    clinic := coalesce(clinic, '00000000-0000-0000-0000-000000000000'::uuid);
  END IF;
  -- Version 8 of a UUID: its makers say what its parts mean (RFC 9562, 5.8).
  fresh := overlay(encode(start || rest, 'hex') PLACING '8' FROM 13)::uuid;
  INSERT INTO accounts_auditevent (id, done_at, clinic_id, person_id, roles, action, object_type, object_ids, patients,
    reason, purpose, device_id, request_id, address, digest)
  VALUES (fresh, moment, clinic, actor, coalesce(current_setting('afterglow.roles', true), ''), did, kind,
    coalesce(ids, '{}'), coalesce(about, '{}'), left(coalesce(why, ''), 500), left(was, 100),
    nullif(tool, '')::uuid, left(coalesce(current_setting('afterglow.request', true), ''), 64),
    coalesce(current_setting('afterglow.address', true), ''), proof)
  ON CONFLICT DO NOTHING;
  IF FOUND THEN
    INSERT INTO accounts_auditpending (event_id, clinic_id) VALUES (fresh, clinic);
    INSERT INTO accounts_auditsubject (patient_id, done_at, id, clinic_id, person_id, action)
    SELECT DISTINCT u.patient, moment, fresh, clinic, actor, did FROM unnest(about) AS u(patient)
    WHERE u.patient IS NOT NULL;
    PERFORM set_config('afterglow.audited', 'yes', true);
  END IF;
END $$;
REVOKE ALL ON FUNCTION audit_write FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_write TO afterglow_app, afterglow_dispatch;

CREATE FUNCTION audit_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM public.audit_write('delete', TG_ARGV[0], NULL, NULL, 'all rows, by TRUNCATE', NULL, NULL, NULL, '');
  RETURN NULL;
END $$;

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON accounts_auditevent
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON accounts_auditlink
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
"""
UNDO = """
DROP TRIGGER only_added_to ON accounts_auditevent;
DROP TRIGGER only_added_to ON accounts_auditlink;
DROP FUNCTION audit_write, audit_truncated, audit_refuse;
"""
# The application reads and seals; events come only through `audit_write`, which runs as the owner.
RIGHTS = """
REVOKE ALL ON accounts_auditevent, accounts_auditsubject, accounts_auditlink, accounts_auditpending FROM afterglow_app;
GRANT SELECT ON accounts_auditevent, accounts_auditsubject TO afterglow_app;
GRANT SELECT, INSERT ON accounts_auditlink TO afterglow_app;
GRANT SELECT, DELETE ON accounts_auditpending TO afterglow_app;
CREATE POLICY told ON accounts_auditevent FOR INSERT TO afterglow_owner WITH CHECK (true);
CREATE POLICY told ON accounts_auditsubject FOR INSERT TO afterglow_owner WITH CHECK (true);
CREATE POLICY told ON accounts_auditpending FOR INSERT TO afterglow_owner WITH CHECK (true);
"""
SEALING = f"{for_purpose('audit')} AND {ME} IS NULL"
# The clinic whose trail one may see: for administrators, auditors and the clinic's machine the one that they act for,
# for the job that acts for none that of what happened in none. One comparison, so that an index answers it; for all
# others it is with nothing, and they wait for no row of the clinic's.
WHOSE = f"""(SELECT CASE WHEN afterglow_works_here('{{administrator,auditor}}') THEN afterglow_here()
  WHEN {SEALING} AND afterglow_here() IS NULL THEN '00000000-0000-0000-0000-000000000000'::uuid END)"""
NOBODY = "false"


class Migration(migrations.Migration):

    dependencies = [
        ("accounts", "0013_second_factor_is_ones_own"),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditPending',
            fields=[
                ('event_id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('clinic_id', models.UUIDField()),
            ],
        ),
        migrations.CreateModel(
            name='AuditEvent',
            fields=[
                ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('done_at', models.DateTimeField()),
                ('clinic_id', models.UUIDField()),
                ('person_id', models.UUIDField(help_text='Who; empty for the machinery and for SQL by hand.', null=True)),
                ('roles', models.CharField(blank=True, default='', help_text='Held in the clinic then, by commas.', max_length=120)),
                ('action', models.CharField(choices=[('read', 'Read'), ('list', 'List'), ('export', 'Export'), ('create', 'Create'), ('update', 'Update'), ('delete', 'Delete'), ('sign_in', 'Sign In'), ('sign_in_failed', 'Sign In Failed'), ('sign_out', 'Sign Out'), ('break_glass', 'Break Glass'), ('refused', 'Refused')], max_length=16)),
                ('object_type', models.CharField(help_text='The resource by its name in the interface.', max_length=60)),
                ('object_ids', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), default=list, size=None)),
                ('patients', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), default=list, help_text='Whose content the answer or the rows held.', size=None)),
                ('reason', models.CharField(blank=True, default='', max_length=500)),
                ('purpose', models.CharField(blank=True, default='', help_text='The door, job or command.', max_length=100)),
                ('device_id', models.UUIDField(null=True)),
                ('request_id', models.CharField(blank=True, default='', max_length=64)),
                ('address', models.CharField(blank=True, default='', help_text='From where, as an IP address.', max_length=45)),
                ('digest', models.BinaryField(null=True)),
            ],
            options={
                'indexes': [models.Index(fields=['clinic_id', '-done_at', '-id'], name='audit_event_list_of_clinic')],
                'constraints': [models.CheckConstraint(condition=models.Q(('action__in', ['read', 'list', 'export', 'create', 'update', 'delete', 'sign_in', 'sign_in_failed', 'sign_out', 'break_glass', 'refused'])), name='audit_event_action_known')],
            },
        ),
        migrations.CreateModel(
            name='AuditSubject',
            fields=[
                ('pk', models.CompositePrimaryKey('patient_id', 'done_at', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('patient_id', models.UUIDField()),
                ('done_at', models.DateTimeField()),
                ('id', models.UUIDField(help_text="The event's.")),
                ('clinic_id', models.UUIDField()),
                ('person_id', models.UUIDField(null=True)),
                ('action', models.CharField(choices=[('read', 'Read'), ('list', 'List'), ('export', 'Export'), ('create', 'Create'), ('update', 'Update'), ('delete', 'Delete'), ('sign_in', 'Sign In'), ('sign_in_failed', 'Sign In Failed'), ('sign_out', 'Sign Out'), ('break_glass', 'Break Glass'), ('refused', 'Refused')], max_length=16)),
            ],
        ),
        migrations.CreateModel(
            name='AuditLink',
            fields=[
                ('event_id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('clinic_id', models.UUIDField()),
                ('number', models.BigIntegerField(help_text='1 for the first of the chain, without holes.')),
                ('digest', models.BinaryField(help_text='SHA-256 of the event, so that the chain can be checked without it.')),
                ('hash', models.BinaryField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('clinic_id', 'number'), name='audit_link_one_for_each_number')],
            },
        ),
        migrations.RunSQL(WRITE, UNDO),
        protect(
            "accounts_auditevent",
            f"clinic_id = {WHOSE} OR patients @> ARRAY[{ME}]",
            insert=NOBODY,
            write=NOBODY,
        ),
        protect("accounts_auditsubject", f"clinic_id = {WHOSE} OR patient_id = {ME}", insert=NOBODY, write=NOBODY),
        # Which chains there are is asked before each is entered; a link holds hashes and nothing of anybody.
        protect("accounts_auditlink", f"clinic_id = {WHOSE} OR ({SEALING})", insert=f"{SEALING} AND clinic_id = {WHOSE}", write=NOBODY),
        # Which clinics have something to seal is asked before each of them is entered.
        protect("accounts_auditpending", SEALING, insert=NOBODY, write=f"{SEALING} AND clinic_id = {WHOSE}"),
        migrations.RunSQL(
            RIGHTS,
            "DROP POLICY told ON accounts_auditevent; DROP POLICY told ON accounts_auditsubject; "
            "DROP POLICY told ON accounts_auditpending",
        ),
        watch("accounts_clinic", "clinics", clinic="id"),
        watch("accounts_person", "people", about="id", ignored=["last_login"]),
        watch("accounts_membership", "memberships", about="person_id", clinic="clinic_id"),
        watch("accounts_careteammember", "care-teams", about="patient_id", clinic="clinic_id"),
        watch_rows(
            "accounts_breakglass",
            "patients/break-glass",
            about="patient_id",
            clinic="clinic_id",
            why="reason",
            inserted="break_glass",
        ),
        # A key is made with the first note and wrapped anew by a command; what is told is that it is gone.
        watch_rows("accounts_datakey", "data-keys", about="patient_id", insert="false", update="false"),
        watch("accounts_consentdocument", "consent-documents", clinic="clinic_id"),
        watch("accounts_consentrecord", "consents", identity=None, about="patient_id", clinic="clinic_id"),
        watch("accounts_caregiver", "caregivers", about="patient_id", clinic="clinic_id"),
        watch("accounts_zonestay", "zones", identity=None, about="person_id"),
        watch("accounts_device", "devices", about="person_id", ignored=["seen_at", "address", "agent"]),
        watch("mfa_authenticator", "second-factors", identity=None, about="user_id"),
        watch("accounts_invitation", "invitations", clinic="clinic_id"),
    ]
