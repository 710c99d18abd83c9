"""A million active rules for the measurement of the reminders: people, rules and each rule's next planned reminder."""

from datetime import datetime
from typing import Any

from django.db import connections

from backend.common import clock

CLINICS = 100
RULES_EACH = 10  # of one person
# What people set: (RRULE, share). The rest of the shares goes to the last.
ZONES = ("Asia/Kolkata", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Kathmandu")
_CLINICS = """
INSERT INTO accounts_clinic (id, name, short_name, country, time_zone, phone, created_at)
SELECT gen_random_uuid(), 'Bench ' || n, 'Bench', 'IN', 'Asia/Kolkata', '', %(now)s
FROM generate_series(1, %(clinics)s) n WHERE NOT EXISTS (SELECT FROM accounts_clinic)
"""
_PEOPLE = """
INSERT INTO accounts_person (id, email, full_name, time_zone, locale, country, sex_at_birth, channels, created_at,
  password)
SELECT gen_random_uuid(), 'bench' || n || '@' || gen_random_uuid() || '.example', 'Bench',
       (%(zones)s::text[])[1 + n %% cardinality(%(zones)s::text[])], 'en', 'IN', 'undisclosed', '["push"]',
       %(now)s, '!'
FROM generate_series(1, %(people)s) n
"""
# Each side counted once: joined as they are, one of them is counted anew for each row of the other.
_MEMBERS = """
WITH p AS MATERIALIZED (
  SELECT id, row_number() OVER () AS n FROM accounts_person q
  WHERE NOT EXISTS (SELECT FROM accounts_membership m WHERE m.person_id = q.id)),
c AS MATERIALIZED (SELECT id, row_number() OVER () AS n FROM accounts_clinic)
INSERT INTO accounts_membership (id, person_id, clinic_id, role, since_at)
SELECT gen_random_uuid(), p.id, c.id, 'patient', %(now)s FROM p JOIN c ON c.n = 1 + p.n %% %(clinics)s
"""
_CONSENTS = """
INSERT INTO accounts_consentrecord (patient_id, clinic_id, purpose, act, version, language, text_sha256, recorded_at)
SELECT m.person_id, m.clinic_id, purpose, 'agreed', 1, 'en', repeat('0', 64), %(now)s
FROM accounts_membership m CROSS JOIN unnest(ARRAY['care', 'messages_push', 'messages_email']) AS purpose
WHERE NOT EXISTS (SELECT FROM accounts_consentrecord r WHERE r.patient_id = m.person_id)
"""
# Evening notes at a quarter of an hour that people chose, on weekdays, every other day, and a monthly one.
_RULES = """
INSERT INTO reminders_rule (id, person_id, clinic_id, purpose, about_type, title, rrule, start_local, offsets,
  time_zone, follows_person, channels, window_minutes, version, created_at, updated_at)
SELECT gen_random_uuid(), m.person_id, m.clinic_id, 'check_in', '', '',
  CASE WHEN k <= 6 THEN 'FREQ=DAILY' WHEN k = 7 THEN 'FREQ=DAILY;INTERVAL=2'
       WHEN k <= 9 THEN 'FREQ=WEEKLY;BYDAY=MO,WE,FR' ELSE 'FREQ=MONTHLY;BYMONTHDAY=1,15' END,
  timestamp '2026-01-05 18:00' + ((m.n * 7 + k * 131) %% 17) * interval '15 minutes', '[]',
  p.time_zone, true, '["push"]', 150, 1, %(now)s, %(now)s
FROM (SELECT *, row_number() OVER () AS n FROM accounts_membership) m JOIN accounts_person p ON p.id = m.person_id
CROSS JOIN generate_series(1, %(each)s) k
WHERE NOT EXISTS (SELECT FROM reminders_rule r WHERE r.person_id = m.person_id)
"""
# Each rule has its next occurrence; where it falls in the coming weeks does not matter to who is not due.
_LEDGER = """
INSERT INTO reminders_reminder (id, rule_id, person_id, clinic_id, purpose, reminder_class, about_type, due_at, send_at,
  expires_at, status, reason, version, change_number, created_at, updated_at)
SELECT gen_random_uuid(), r.id, r.person_id, r.clinic_id, r.purpose, 'habit', '', at, at, at + interval '150 minutes',
  'planned', '', 1, 1, %(now)s, %(now)s
FROM (SELECT *, %(now)s + interval '1 day' + random() * interval '30 days' AS at FROM reminders_rule q
      WHERE NOT EXISTS (SELECT FROM reminders_reminder e WHERE e.rule_id = q.id)) r
"""
# What is made due here is not what the rules name; nobody is to put that right while it is measured.
_ZONES = """
INSERT INTO reminders_zonedata (version, began_at, checked_at) VALUES (%(zone_data)s, %(now)s, %(now)s)
ON CONFLICT DO NOTHING
"""
_COUNTERS = """
INSERT INTO accounts_patientcounter (patient_id, value)
SELECT person_id, 1 FROM accounts_membership ON CONFLICT DO NOTHING
"""


def fill(*, rules: int, now: datetime) -> None:
    """So many more, as the owner, without the triggers that tell of each row; then the statistics are made."""
    people = max(rules // RULES_EACH, 1)
    values = {"now": now, "people": people, "clinics": CLINICS, "zones": list(ZONES), "each": RULES_EACH}
    values["zone_data"] = clock.ZONE_DATABASE
    with connections["owner"].cursor() as cursor:
        cursor.execute("SET afterglow.purpose = 'maintenance: bench'")
        cursor.execute("SET session_replication_role = replica")
        for statement in (_CLINICS, _PEOPLE, _MEMBERS, _CONSENTS, _RULES, _LEDGER, _COUNTERS, _ZONES):
            cursor.execute(statement, values)
            cursor.execute("ANALYZE")  # the next one is planned for what is there now
        cursor.execute("RESET session_replication_role")
        cursor.execute("RESET afterglow.purpose")
        cursor.execute("VACUUM (ANALYZE)")


def make_due(cursor: Any, *, count: int, at: datetime, table: str = "reminders_reminder") -> int:
    """So many planned reminders that are not due yet are due at an instant; how many there were."""
    cursor.execute(
        f"UPDATE {table} SET due_at = %(at)s, send_at = %(at)s, expires_at = %(at)s + interval '150 minutes' "
        f"WHERE id IN (SELECT id FROM {table} WHERE status = 'planned' AND send_at > %(at)s + interval '12 hours' "
        "LIMIT %(count)s)",
        {"at": at, "count": count},
    )
    return int(cursor.rowcount)
