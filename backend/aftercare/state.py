"""What the panel needs of each patient, kept in the transaction of each write."""

from datetime import datetime

from django.db import connection

from backend.accounts.models import Person


def note_entries(*, patient: Person, received_at: datetime) -> None:
    """Something arrived from the patient; the last mood is read again, since an edit or a deletion may change it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO aftercare_patientstate AS s (patient_id, last_entry_at, last_felt_at, last_mood) "
            "SELECT %s, %s, m.felt_at, m.mood FROM (SELECT 1) AS one LEFT JOIN LATERAL ("
            "  SELECT felt_at, mood FROM aftercare_moodcheckin WHERE patient_id = %s AND deleted_at IS NULL "
            "  ORDER BY felt_at DESC LIMIT 1) AS m ON true "
            "ON CONFLICT (patient_id) DO UPDATE SET last_entry_at = greatest(s.last_entry_at, excluded.last_entry_at), "
            "last_felt_at = excluded.last_felt_at, last_mood = excluded.last_mood",
            [patient.id, received_at, patient.id],
        )
