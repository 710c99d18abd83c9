"""When a session was last used, what device signed in from where, and the functions that read and write that."""

import importlib

from django.db import migrations, models

_isolation = importlib.import_module("backend.accounts.migrations.0005_isolation")
as_owner = _isolation.as_owner

# As in 0005, and when it was last used.
IDENTIFY = as_owner(
    "accounts_identify(token text, at timestamptz)",
    "TABLE (data text, roles text, person accounts_person, seen_at timestamptz)",
    "",
    """RETURN QUERY SELECT s.session_data, (SELECT coalesce(json_agg(json_build_array(m.clinic_id, m.role)
      ORDER BY m.since_at, m.id), '[]')::text FROM accounts_membership m
      WHERE m.person_id = p.id AND m.ended_at IS NULL), p, s.seen_at
    FROM accounts_session s JOIN accounts_person p ON p.id = s.person_id
    WHERE s.session_key = token AND s.expire_date > at AND p.deactivated_at IS NULL;""",
    "RETURN;",
)
READ = as_owner(
    "accounts_session_read(token text, at timestamptz)",
    "TABLE (data text, expires_at timestamptz, seen_at timestamptz)",
    "",
    """RETURN QUERY SELECT s.session_data, s.expire_date, s.seen_at FROM accounts_session s
    WHERE s.session_key = token AND s.expire_date > at;""",
    "RETURN;",
)
# A new one must not exist yet, any other must. False when that was not so.
WRITE = as_owner(
    "accounts_session_write(token text, data text, expires_at timestamptz, person uuid, is_new boolean, "
    "at timestamptz)",
    "boolean",
    "written integer;",
    """IF is_new THEN
    INSERT INTO accounts_session (session_key, session_data, expire_date, person_id, seen_at)
    VALUES (token, data, expires_at, person, at) ON CONFLICT (session_key) DO NOTHING;
  ELSE
    UPDATE accounts_session s SET session_data = data, expire_date = expires_at, person_id = person, seen_at = at
    WHERE s.session_key = token;
  END IF;
  GET DIAGNOSTICS written = ROW_COUNT;""",
    "RETURN written > 0;",
)
IS_OVER = as_owner(
    "accounts_session_is_over(token text, at timestamptz)",
    "boolean",
    "found boolean;",
    "found := EXISTS (SELECT FROM accounts_session s WHERE s.session_key = token AND s.expire_date <= at);",
    "RETURN found;",
)
# Another request may have done it in this very minute; then nothing is written.
TOUCH = as_owner(
    "accounts_session_touch(token text, at timestamptz, expires_at timestamptz, device text, not_since timestamptz)",
    "void",
    "whose uuid;",
    """UPDATE accounts_session s SET seen_at = at, expire_date = coalesce(expires_at, s.expire_date)
    WHERE s.session_key = token AND s.expire_date > at AND (s.seen_at IS NULL OR s.seen_at <= not_since)
    RETURNING s.person_id INTO whose;
  IF device IS NOT NULL THEN
    UPDATE accounts_device d SET seen_at = at WHERE d.id = device::uuid AND d.person_id = whose;
  END IF;""",
    "RETURN;",
)
OLD = (
    "DROP FUNCTION accounts_identify(text, timestamptz), accounts_session_read(text, timestamptz), "
    "accounts_session_write(text, text, timestamptz, uuid, boolean)"
)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0010_consents")]

    operations = [
        migrations.AddField("session", "seen_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "device",
            "agent",
            models.CharField(blank=True, default="", help_text="What the program calls itself.", max_length=200),
            preserve_default=False,
        ),
        migrations.AddField(
            "device",
            "address",
            models.CharField(
                blank=True, default="", help_text="The network address of the latest sign-in.", max_length=45
            ),
            preserve_default=False,
        ),
        # Functions are not taken back: what reads and writes sessions goes with them.
        migrations.RunSQL(OLD),
        migrations.RunSQL(IDENTIFY + READ + WRITE + IS_OVER + TOUCH),
    ]
