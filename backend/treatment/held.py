"""What this room holds about a person, beside the side effects, which declare themselves as a log."""

from backend.accounts.holdings import register, with_history
from backend.treatment.models import Annotation, Session


def declare() -> None:
    """Adds the room's tables to the registry.

    An export reads annotations with the eyes of whoever asked for it: a private one is in no patient's. No retention
    rule removes sessions: the record of a treatment is kept for as long as the law of the place says.
    """
    register(
        *with_history(
            Annotation,
            "patient_id",
            section="annotations",
            for_clinicians=True,
            clinic="clinic_id",
            hidden=frozenset({"author_id"}),  # a patient knows the own care team, and nobody else of the clinic
        ),
        *with_history(Session, "patient_id", section="sessions", for_clinicians=True, clinic="clinic_id"),
    )
