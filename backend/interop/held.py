"""What this room holds about a person."""

from backend.accounts.holdings import Fate, of_model, register
from backend.interop.models import ErasureRequest, Export, LegalHold


def declare() -> None:
    """Adds the room's tables to the registry."""
    register(
        of_model(
            Export,
            "patient_id",
            section="exports",
            hidden=frozenset({"file_key", "lease_token", "lease_ends_at"}),
        ),
        of_model(
            ErasureRequest,
            "patient_id",
            fate=Fate.KEPT,
            section="erasure_requests",
            why="the record that an erasure was done: ids, instants and counts; its words are emptied",
        ),
        of_model(
            LegalHold,
            "patient_id",
            fate=Fate.KEPT,
            section="legal_holds",
            hidden=frozenset({"reason", "lift_reason", "set_by_id", "lifted_by_id"}),
            why="shows why an erasure waited: ids and instants; its words are emptied",
        ),
    )
