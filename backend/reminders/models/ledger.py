"""`Rule` (what, when, for whom), `Reminder` (the ledger), `Delivery` (each attempt to reach someone)."""

import uuid
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from django.db import models
from django.db.models import Case, F, Q, When
from django.db.models.functions import Coalesce

from backend.accounts.models import Clinic, Person
from backend.common.fields import NoteField
from backend.reminders.codes import (
    Channel,
    DeliveryStatus,
    Purpose,
    Reason,
    ReminderClass,
    Status,
)

Model = TypeVar("Model", bound=models.Model)


class WallTimeField(models.Field):  # type: ignore[type-arg]
    """Local time without a zone (`timestamp`), for rules: the zone stands beside it and may change."""

    def db_type(self, connection: Any) -> str:
        """PostgreSQL's own type for it."""
        return "timestamp"

    def to_python(self, value: Any) -> datetime | None:
        """A naive datetime."""
        return datetime.fromisoformat(value) if isinstance(value, str) else value


class Rule(models.Model):
    """A series (`rrule` from `start_local`) or a set of instants relative to an anchor (`anchor_at`, `offsets`)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    purpose = models.CharField(max_length=16, choices=Purpose)
    about_type = models.CharField(max_length=32, blank=True, default="")
    about_id = models.UUIDField(null=True, blank=True)
    title = NoteField(help_text="What patients write for themselves.")
    rrule = models.CharField(max_length=4000, null=True, blank=True)  # noqa: DJ001  (empty is no rule; NULL is another kind)
    start_local = WallTimeField(null=True, blank=True)
    anchor_at = models.DateTimeField(null=True, blank=True)
    offsets = models.JSONField(default=list, help_text='[{"days": 1}, {"minutes": 120}], before the anchor')
    time_zone = models.CharField(max_length=64)
    follows_person = models.BooleanField(default=True, help_text="Whether the zone is the person's, wherever that is.")
    home_zone = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="Where the person lives: quiet hours and days are counted there; empty: as `time_zone`.",
    )
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    channels = models.JSONField(default=list)
    window_minutes = models.IntegerField(help_text="How long after its time a reminder still makes sense.")
    nudge_minutes = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="So long after sending, one nudge if nobody answered; empty: none."
    )
    daily_cap = models.PositiveSmallIntegerField(null=True, blank=True, help_text="The person's own, copied.")
    muted_at = models.DateTimeField(null=True, blank=True, help_text="The person wants no messages of this purpose.")
    paused_from_at = models.DateTimeField(null=True, blank=True)
    paused_until_at = models.DateTimeField(null=True, blank=True, help_text="In a session until then.")
    settled_until_at = models.DateTimeField(
        null=True, blank=True, help_text="Up to here it was done already, so nothing is planned before."
    )
    version = models.IntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(rrule__isnull=False, start_local__isnull=False, anchor_at__isnull=True)
                | Q(rrule__isnull=True, start_local__isnull=True, anchor_at__isnull=False),
                name="rule_is_a_series_or_has_an_anchor",
            ),
            models.CheckConstraint(condition=Q(purpose__in=Purpose.values), name="rule_purpose_known"),
            models.CheckConstraint(condition=Q(window_minutes__gte=1), name="rule_window_is_open"),
            models.UniqueConstraint(
                fields=["about_type", "about_id", "person", "purpose"],
                condition=Q(anchor_at__isnull=False),
                name="rule_one_for_each_anchor",
            ),
        ]
        indexes = [
            models.Index(fields=["person", "-created_at", "id"], name="rule_list_of_person"),
        ]


def _copied(model: type[Model], **options: Any) -> "models.ForeignKey[Model, Model]":
    """Whose row it is, copied from the rule, for lists and row-level security.

    The rule's own keys guard it and its rows go with the rule, so the copies need neither check nor index: they would
    cost more than all else that a claim writes.
    """
    return models.ForeignKey(
        model, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+", **options
    )


class Reminder(models.Model):
    """One reminder of one rule at one instant. `due_at` never moves; `send_at` is when it goes out.

    `change_number` is empty while a change by the dispatcher waits for its number (`dispatch.number`). No index knows
    `status` itself: what is sent keeps all its index entries, and the row its page (PostgreSQL, 'Heap-Only Tuples').
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="reminders", db_index=False)
    person = _copied(Person)
    clinic = _copied(Clinic, null=True, blank=True)
    purpose = models.CharField(max_length=16, choices=Purpose)
    reminder_class = models.CharField(max_length=8, choices=ReminderClass)
    about_type = models.CharField(max_length=32, blank=True, default="")
    about_id = models.UUIDField(null=True, blank=True)
    due_at = models.DateTimeField()
    send_at = models.DateTimeField(null=True, blank=True, help_text="Empty: no message any more, yet still open.")
    expires_at = models.DateTimeField(help_text="From here on it makes no sense any more.")
    status = models.CharField(max_length=12, choices=Status, default=Status.PLANNED)
    reason = models.CharField(max_length=24, choices=Reason, blank=True, default="")
    sent_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    nudge_at = models.DateTimeField(null=True, blank=True, help_text="When it is sent once more if nobody answered.")
    unanswered_since_at = models.DateTimeField(
        null=True, blank=True, help_text="Due instant of the first reminder before it that nobody answered."
    )
    version = models.IntegerField(default=1)
    change_number = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    # When the engine takes it up: to tell it, or to close what was put off until it is done.
    claim_at = models.GeneratedField(
        expression=Case(When(status__in=[Status.PLANNED, Status.SNOOZED], then=Coalesce("send_at", "expires_at"))),
        output_field=models.DateTimeField(null=True),
        db_persist=True,
    )
    to_nudge_at = models.GeneratedField(
        expression=Case(When(status=Status.SENT, then=F("nudge_at"))),
        output_field=models.DateTimeField(null=True),
        db_persist=True,
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rule", "due_at"], name="reminder_once_per_rule_and_instant"),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="reminder_status_known"),
            models.CheckConstraint(condition=Q(reason__in=["", *Reason.values]), name="reminder_reason_known"),
            models.CheckConstraint(
                condition=~Q(status__in=[Status.SKIPPED, Status.EXPIRED, Status.FAILED]) | ~Q(reason=""),
                name="reminder_unsent_says_why",
            ),
            models.CheckConstraint(
                condition=Q(send_at__isnull=False) | ~Q(status__in=[Status.PLANNED, Status.DUE]),
                name="reminder_planned_has_its_hour",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["reminder_class", "claim_at"], condition=Q(claim_at__isnull=False), name="reminder_to_claim"
            ),
            models.Index(fields=["to_nudge_at"], condition=Q(to_nudge_at__isnull=False), name="reminder_to_nudge"),
            models.Index(fields=["person"], condition=Q(change_number__isnull=True), name="reminder_to_number"),
            models.Index(fields=["person", "-due_at", "-id"], name="reminder_list_of_person"),
            models.Index(fields=["person", "change_number"], name="reminder_for_sync"),
        ]


class Delivery(models.Model):
    """One attempt to reach a person through one channel. Its id is the idempotency key at the provider."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    reminder = models.ForeignKey(Reminder, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    person = _copied(Person)
    clinic = _copied(Clinic, null=True, blank=True)
    reminder_class = models.CharField(max_length=8, choices=ReminderClass)
    channel = models.CharField(max_length=8, choices=Channel)
    attempt = models.SmallIntegerField(default=1)
    status = models.CharField(max_length=12, choices=DeliveryStatus, default=DeliveryStatus.PENDING)
    try_at = models.DateTimeField(help_text="Not before this; later attempts wait.")
    lease_token = models.UUIDField(null=True, blank=True, help_text="Whoever cannot show it has lost the lease.")
    lease_ends_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["reminder", "channel", "attempt"], name="delivery_once_per_attempt"),
            models.CheckConstraint(condition=Q(status__in=DeliveryStatus.values), name="delivery_status_known"),
            models.CheckConstraint(
                condition=~Q(status__in=[DeliveryStatus.LEASED, DeliveryStatus.SENDING])
                | Q(lease_token__isnull=False, lease_ends_at__isnull=False),
                name="delivery_in_hand_has_a_lease",
            ),
        ]
        indexes = [
            models.Index(
                fields=["reminder_class", "channel", "try_at"],
                condition=Q(status=DeliveryStatus.PENDING),
                name="delivery_to_lease",
            ),
            models.Index(
                fields=["lease_ends_at"],
                condition=Q(status__in=[DeliveryStatus.LEASED, DeliveryStatus.SENDING]),
                name="delivery_lease_to_expire",
            ),
            models.Index(
                fields=["clinic", "-changed_at"],
                condition=Q(status__in=[DeliveryStatus.UNKNOWN, DeliveryStatus.FAILED]),
                name="delivery_for_staff_to_see",
            ),
            models.Index(fields=["changed_at"], condition=Q(status=DeliveryStatus.UNKNOWN), name="delivery_in_doubt"),
        ]
