"""What this room holds about a person, beside the side effects, which declare themselves as a log."""

from django.apps import apps

from backend.accounts.holdings import of_model, register, with_history
from backend.treatment.models import Annotation, Session


def declare() -> None:
    """Adds the room's tables to the registry.

    An export reads annotations with the eyes of whoever asked for it: a private one is in no patient's. No retention
    rule removes sessions: the record of a treatment is kept for as long as the law of the place says.
    """
    register(
        of_model(
            Annotation,
            "patient_id",
            section="annotations",
            for_clinicians=True,
            clinic="clinic_id",
            hidden=frozenset({"author_id"}),  # a patient knows the own care team, and nobody else of the clinic
        ),
        of_model(
            apps.get_model("treatment", "AnnotationEvent"),
            "patient_id",
            why="earlier wording is the care team's alone: what stands open now may have been private before",
        ),
        *with_history(Session, "patient_id", section="sessions", for_clinicians=True, clinic="clinic_id"),
    )
