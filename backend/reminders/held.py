"""What this room holds about a person."""

from backend.accounts.holdings import of_model, register
from backend.reminders.models import BlockedAddress, Delivery, Escalation, PhoneCode, Reminder, Rule, Silence


def declare() -> None:
    """Adds the room's tables to the registry."""
    register(
        of_model(
            Delivery,
            "person_id",
            section="deliveries",
            hidden=frozenset({"lease_token", "lease_ends_at"}),
            for_clinicians=True,
            clinic="clinic_id",
            kind="reminders",
            parent=(Reminder._meta.db_table, "reminder_id"),
        ),
        of_model(
            Reminder,
            "person_id",
            section="reminders",
            hidden=frozenset({"claim_at", "to_nudge_at"}),
            for_clinicians=True,
            clinic="clinic_id",
            kind="reminders",
            own_time="due_at",
        ),
        of_model(Rule, "person_id", section="reminder_rules", for_clinicians=True, clinic="clinic_id"),
        of_model(
            Escalation,
            "person_id",
            section="escalations",
            hidden=frozenset({"steps"}),
            for_clinicians=True,
            clinic="clinic_id",
            kind="reminders",
            own_time="opened_at",
        ),
        of_model(
            Silence,
            "person_id",
            section="silences",
            for_clinicians=True,
            clinic="clinic_id",
            kind="reminders",
            own_time="noted_at",
        ),
        of_model(PhoneCode, "person_id", section="phone_codes", hidden=frozenset({"digest"}), of_account=True),
        of_model(BlockedAddress, "person_id", section="blocked_addresses", of_account=True),
    )
