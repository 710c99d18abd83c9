"""The change numbers of one patient: dense enough to page by, and committed in order."""

import uuid

from django.db import connection


def next_numbers(*, patient_id: uuid.UUID, count: int = 1) -> int:
    """Takes `count` numbers and returns the last of them.

    The counter's row stays locked until commit, so a patient's numbers become visible in their order. Several patients
    in one transaction are taken in the order of their ids.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_patientcounter AS c (patient_id, value) VALUES (%s, %s) "
            "ON CONFLICT (patient_id) DO UPDATE SET value = c.value + excluded.value RETURNING value",
            [patient_id, count],
        )
        return int(cursor.fetchone()[0])


def lock(*, patient_id: uuid.UUID) -> None:
    """Waits until no other transaction writes for this patient, and keeps it so until commit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM accounts_patientcounter WHERE patient_id = %s FOR UPDATE", [patient_id])
