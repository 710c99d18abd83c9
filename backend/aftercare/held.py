"""What this room holds about a person, beside the logs, which declare themselves."""

from backend.accounts.holdings import of_model, register, with_history
from backend.aftercare.models import Appointment, Occurrence, PatientState


def declare() -> None:
    """Adds the room's tables to the registry."""
    register(
        *with_history(
            Occurrence,
            "patient_id",
            section="appointment_occurrences",
            clinic="appointment__clinic_id",
            for_clinicians=True,
            kind="appointments",
            parent=(Appointment._meta.db_table, "appointment_id"),
        ),
        *with_history(
            Appointment,
            "patient_id",
            section="appointments",
            for_clinicians=True,
            clinic="clinic_id",
            kind="appointments",
            own_time="starts_at",
        ),
        of_model(PatientState, "patient_id", why="made from the entries, which every export has"),
    )
