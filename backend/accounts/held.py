"""What this room holds about a person."""

from backend.accounts.holdings import Fate, Holding, of_model, register
from backend.accounts.models import (
    AuditEvent,
    AuditSubject,
    BreakGlass,
    Caregiver,
    CareTeamMember,
    ConsentRecord,
    DataKey,
    Device,
    Invitation,
    Membership,
    OutboxMail,
    PatientCounter,
    Person,
    Session,
    ZoneStay,
)

__all__ = ["Fate", "declare"]


def declare() -> None:
    """Adds the room's tables to the registry; the person's own row comes last and goes last."""
    register(
        of_model(
            CareTeamMember,
            "patient_id",
            section="care_team",
            for_clinicians=True,
            clinic="clinic_id",
            beside={"member_name": "member__full_name"},
        ),
        of_model(
            BreakGlass,
            "patient_id",
            section="emergency_openings",
            hidden=frozenset({"reason"}),
        ),
        of_model(Caregiver, "patient_id", section="caregivers"),
        of_model(Caregiver, "person_id", section="cares_for"),
        of_model(ConsentRecord, "patient_id", section="consents", for_clinicians=True, clinic="clinic_id"),
        of_model(ZoneStay, "person_id", section="time_zones", for_clinicians=True, of_account=True),
        *(
            of_model(
                model,
                holder,
                fate=Fate.KEPT,
                section="who_saw_and_changed_it" if (model, holder) == (AuditSubject, "patient_id") else "",
                why="who saw and did what must be shown later; it holds ids, no content",
            )
            for model, holder in (
                (AuditEvent, "person_id"),
                (AuditSubject, "patient_id"),
                (AuditSubject, "person_id"),
            )
        ),
        of_model(PatientCounter, "patient_id", why="a counter, and nothing that is said about anyone"),
        of_model(DataKey, "patient_id", why="the key to the notes, which an export holds opened"),
        of_model(Device, "person_id", section="devices", hidden=frozenset({"push"}), of_account=True),
        of_model(Session, "person_id", why="what is in it opens the account", of_account=True),
        Holding(
            table="mfa_authenticator",
            holder="user_id",
            why="keys of authenticator apps and passkeys, which open the account",
            of_account=True,
        ),
        Holding(
            table="account_emailaddress",
            holder="user_id",
            why="the address as the profile has it, for the sign-in",
            of_account=True,
        ),
        of_model(
            Invitation,
            "email",
            by_address=True,
            section="invitations",
            hidden=frozenset({"token_hash"}),
            of_account=True,
        ),
        of_model(Invitation, "patient_id", why="an invitation is its recipient's; who accepted stands in caregivers"),
        of_model(OutboxMail, "recipient", by_address=True, why="mails of the sign-in; they are with their reader"),
        of_model(
            Membership, "person_id", section="memberships", of_account=True, beside={"clinic_name": "clinic__name"}
        ),
        of_model(
            Person,
            "id",
            section="profile",
            for_clinicians=True,
            hidden=frozenset({"password", "last_login"}),
            of_account=True,
        ),
    )
