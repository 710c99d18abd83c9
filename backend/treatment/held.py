"""What this room holds about a person, beside the side effects, which declare themselves as a log."""

from backend.accounts.holdings import register, with_history
from backend.treatment.models import Session


def declare() -> None:
    """Adds the room's tables to the registry.

    No retention rule removes sessions: the record of a treatment is kept for as long as the law of the place says.
    """
    register(*with_history(Session, "patient_id", section="sessions", for_clinicians=True, clinic="clinic_id"))
