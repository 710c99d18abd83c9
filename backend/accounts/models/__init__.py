"""Who is who, who may see whom, where they live, how they came in."""

from backend.accounts.models.arrivals import Invitation, OutboxMail, SignInAttempt
from backend.accounts.models.audit import NOWHERE, Action, AuditEvent, AuditLink, AuditPending, AuditSubject
from backend.accounts.models.consents import Act, ConsentDocument, ConsentRecord
from backend.accounts.models.keys import DataKey
from backend.accounts.models.openings import BreakGlass, Caregiver
from backend.accounts.models.people import (
    ADMINISTRATORS,
    CLINICIANS,
    OVERSEERS,
    STAFF,
    CareTeamMember,
    Clinic,
    Device,
    Membership,
    PatientCounter,
    Person,
    PersonManager,
    Role,
    Session,
    SexAtBirth,
    ZoneStay,
    by_clinic,
)

__all__ = [
    "ADMINISTRATORS",
    "CLINICIANS",
    "NOWHERE",
    "OVERSEERS",
    "STAFF",
    "Act",
    "Action",
    "AuditEvent",
    "AuditLink",
    "AuditPending",
    "AuditSubject",
    "BreakGlass",
    "CareTeamMember",
    "Caregiver",
    "Clinic",
    "ConsentDocument",
    "ConsentRecord",
    "DataKey",
    "Device",
    "Invitation",
    "Membership",
    "OutboxMail",
    "PatientCounter",
    "Person",
    "PersonManager",
    "Role",
    "Session",
    "SexAtBirth",
    "SignInAttempt",
    "ZoneStay",
    "by_clinic",
]
