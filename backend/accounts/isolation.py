"""Row-level security as migrations write it: whose rows a table holds, and therefore who sees them.

A policy reads the context that `access.acting_as` sets; without one a table shows nothing, to its owner neither. The
functions that the policies ask (`afterglow_me`, `afterglow_patients`, ...) are made by accounts' own migration. What
stands here is used by migrations that ran: add rules, never change one.
"""

from django.db import migrations
from django.db.models import TextChoices

ME = "(SELECT afterglow_me())"
HERE = "(SELECT afterglow_here())"
MACHINE = f"({ME} IS NULL AND {HERE} IS NOT NULL)"
PURPOSE = "(SELECT coalesce(current_setting('afterglow.purpose', true), ''))"
KEY = "(SELECT nullif(current_setting('afterglow.key', true), ''))"
MAINTENANCE = f"{PURPOSE} LIKE 'maintenance%'"


class Share(TextChoices):
    """What of a record a patient may show to a caregiver; the care team sees all of it. Empty: never a caregiver's."""

    NOTHING = ""
    MOOD = "mood"
    SLEEP = "sleep"
    EXERCISE = "exercise"
    NUTRITION = "nutrition"
    SUBSTANCES = "substances"
    SIDE_EFFECTS = "side_effects"
    APPOINTMENTS = "appointments"
    SESSIONS = "sessions"
    REMINDERS = "reminders"


def of_patient(share: str = Share.NOTHING, *, column: str = "patient_id") -> str:
    """Rows of a record without a clinic: the patient's, the care team's, and a caregiver's with this share."""
    return f"{column} = {ME} OR {column} IN (SELECT unnest(afterglow_patients('{share}')))"


def of_patient_in_clinic(share: str = Share.NOTHING, *, column: str = "patient_id") -> str:
    """Rows that one clinic wrote: the patient's, and those of the care team in that clinic."""
    return f"{column} = {ME} OR (clinic_id = {HERE} AND {column} IN (SELECT unnest(afterglow_patients('{share}'))))"


def of_person(column: str = "person_id") -> str:
    """Rows of one person alone."""
    return f"{column} = {ME}"


def of_people(column: str = "person_id") -> str:
    """Rows about somebody whom the actor may know: oneself, colleagues, the own patients, the own care team."""
    return f"{column} = {ME} OR {column} IN (SELECT unnest(afterglow_people()))"


def of_staff() -> str:
    """Rows of a clinic for those who work there, and for its machine."""
    return f"clinic_id = {HERE} AND (SELECT afterglow_works_here())"


def for_purpose(*purposes: str) -> str:
    """Rows of the machinery, which no person reads: only the job with this purpose does."""
    return f"{PURPOSE} IN ({', '.join(repr(purpose) for purpose in purposes)})"


def with_key(column: str) -> str:
    """The one row whose address, hash or id the asker knows, before anyone is signed in."""
    return f"{column} = {KEY}"


IN_ANY_CONTEXT = f"{PURPOSE} <> ''"


def protect(
    table: str,
    rule: str,
    *,
    write: str | None = None,
    insert: str | None = None,
    dispatch: bool = False,
) -> migrations.RunSQL:
    """Row-level security on a table, forced on its owner too: rows for which `rule` holds are seen, changed, removed.

    `write` narrows what may be changed and removed, `insert` says what may be added (both `rule` when absent).
    `dispatch` opens the table to the dispatcher while it dispatches. The owner sees all under a maintenance purpose.
    """
    lines = [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY maintained ON {table} TO afterglow_owner USING ({MAINTENANCE})",
    ]
    if write is None and insert is None:
        lines.append(f"CREATE POLICY seen_and_kept ON {table} TO afterglow_app USING ({rule})")
    else:
        lines += [
            f"CREATE POLICY seen ON {table} FOR SELECT TO afterglow_app USING ({rule})",
            f"CREATE POLICY added ON {table} FOR INSERT TO afterglow_app WITH CHECK ({insert or write or rule})",
            f"CREATE POLICY changed ON {table} FOR UPDATE TO afterglow_app USING ({write or rule})",
            f"CREATE POLICY removed ON {table} FOR DELETE TO afterglow_app USING ({write or rule})",
        ]
    if dispatch:
        lines.append(f"CREATE POLICY dispatched ON {table} TO afterglow_dispatch USING ({IN_ANY_CONTEXT})")
    names = ["maintained", "seen_and_kept", "seen", "added", "changed", "removed", "dispatched"]
    undo = [f"DROP POLICY IF EXISTS {name} ON {table}" for name in names]
    undo += [f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY", f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"]
    return migrations.RunSQL(tuple(lines), tuple(undo))
