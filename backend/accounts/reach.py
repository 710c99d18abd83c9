"""Who may do what, as one declaration: for each verb of a view, the roles that may use it and how far each reaches.

The door refuses a role that is not named; the views' queries and row-level security keep each to its reach. The table
in docs/roles.md is written from these declarations, and a test walks it cell by cell.
"""

from collections.abc import Mapping

from django.db.models import TextChoices

from backend.accounts import models
from backend.accounts.models import CLINICIANS, Role


class Reach(TextChoices):
    """How far a role sees or acts through one verb of one address."""

    SELF = "self", "what belongs to one's own account"
    OWN = "own", "the own record"
    SHARED = "shared", "what a patient chose to show them"
    TEAM = "team", "patients of the own care teams, and records opened in an emergency"
    CLINIC = "clinic", "everybody and everything of the clinic, without clinical content"


Grant = Mapping[str, Reach]


def granted(reach: Reach, *roles: str) -> Grant:
    """The same reach for these roles."""
    return dict.fromkeys(roles, reach)


EVERYBODY: Grant = granted(Reach.SELF, *Role.values)
PATIENT: Grant = granted(Reach.OWN, Role.PATIENT)
CLINICIAN: Grant = granted(Reach.TEAM, *sorted(CLINICIANS))
PATIENT_AND_TEAM: Grant = {**PATIENT, **CLINICIAN}
RECORD: Grant = {**PATIENT_AND_TEAM, Role.CAREGIVER: Reach.SHARED}
PSYCHIATRIST: Grant = granted(Reach.TEAM, Role.PSYCHIATRIST)
ADMINISTRATOR: Grant = granted(Reach.CLINIC, Role.ADMINISTRATOR)
STAFF: Grant = granted(Reach.CLINIC, *sorted(models.STAFF))
PATIENT_OR_OFFICE: Grant = {**PATIENT, **ADMINISTRATOR}
OVERSEER: Grant = granted(Reach.CLINIC, Role.ADMINISTRATOR, Role.AUDITOR)
