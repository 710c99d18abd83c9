"""Whoever has no role in any clinic any more is signed out everywhere; only the clinic's machine may ask for it."""

from importlib import import_module

from django.db import migrations

_before = import_module("backend.accounts.migrations.0005_isolation")

SIGN_OUT = _before.as_owner(
    "accounts_sign_out_without_role(who uuid)",
    "integer",
    "gone integer := 0;",
    """IF afterglow_me() IS NULL AND EXISTS (SELECT FROM accounts_membership m
      WHERE m.person_id = who AND m.clinic_id = afterglow_here())
    AND NOT EXISTS (SELECT FROM accounts_membership m WHERE m.person_id = who AND m.ended_at IS NULL) THEN
    DELETE FROM accounts_session s WHERE s.person_id = who;
    GET DIAGNOSTICS gone = ROW_COUNT;
  END IF;""",
    "RETURN gone;",
)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_emergency_access")]

    operations = [migrations.RunSQL(SIGN_OUT, "DROP FUNCTION accounts_sign_out_without_role")]
