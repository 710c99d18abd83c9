"""What stands beside the ledger: chains, silences, blocked addresses, and the heartbeats of the machinery."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from backend.accounts.models import Clinic, Person
from backend.reminders.codes import Channel, Purpose


class Escalation(models.Model):
    """A chain of people who are told one after the other until one of them answers; it never ends by itself.

    `steps` is copied onto it when it opens: `[{"rules": [ids], "minutes": 10}, …]`, each rule one person's, made at the
    opening, so that the dispatcher, who sees no persons, can go on alone.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+", help_text="Whom it is about.")
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    purpose = models.CharField(max_length=16, choices=Purpose)
    about_type = models.CharField(max_length=32, blank=True, default="")
    about_id = models.UUIDField(null=True, blank=True)
    steps = models.JSONField()
    step = models.PositiveSmallIntegerField(default=0, help_text="The step that is next.")
    round = models.PositiveIntegerField(default=1)
    next_at = models.DateTimeField(null=True, blank=True, help_text="Empty once it was answered or stopped.")
    opened_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.UUIDField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True, help_text="When nobody had anything open of it any more.")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(purpose__in=Purpose.values), name="escalation_purpose_known"),
            models.CheckConstraint(
                condition=Q(next_at__isnull=False) | Q(acknowledged_at__isnull=False) | Q(stopped_at__isnull=False),
                name="escalation_never_ends_by_itself",
            ),
            models.UniqueConstraint(
                fields=["about_type", "about_id", "purpose"],
                condition=Q(next_at__isnull=False),
                name="escalation_once_while_open",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="escalation_to_go_on"),
            models.Index(
                fields=["id"], condition=Q(next_at__isnull=True, settled_at__isnull=True), name="escalation_to_settle"
            ),
            models.Index(fields=["person", "-opened_at"], name="escalation_list_of_person"),
        ]


class Silence(models.Model):
    """A patient has not answered a purpose's reminders for days: nothing more is sent, and the clinic is told once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    purpose = models.CharField(max_length=16, choices=Purpose)
    since_at = models.DateTimeField(help_text="Due instant of the first reminder that nobody answered.")
    noted_at = models.DateTimeField()
    told_at = models.DateTimeField(null=True, blank=True, help_text="When the care team was told.")
    ended_at = models.DateTimeField(null=True, blank=True, help_text="When the patient was heard of again.")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(purpose__in=Purpose.values), name="silence_purpose_known"),
            models.UniqueConstraint(
                fields=["person", "purpose"], condition=Q(ended_at__isnull=True), name="silence_once_while_it_lasts"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["clinic"], condition=Q(told_at__isnull=True, ended_at__isnull=True), name="silence_to_tell"
            ),
        ]


class BlockedAddress(models.Model):
    """An address that refused a message for good: nothing more goes there. Only a fingerprint of it is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    channel = models.CharField(max_length=8, choices=Channel)
    fingerprint = models.CharField(max_length=64)
    why = models.CharField(max_length=200, help_text="The provider's word, without personal data.")
    blocked_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "channel", "fingerprint"], name="blocked_address_once"),
        ]


class Heartbeat(models.Model):
    """When a part of the machinery last said that it lives: one row for each worker, beat, tick and sweep."""

    name = models.CharField(primary_key=True, max_length=120)
    part = models.CharField(max_length=16)
    beat_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["part", "-beat_at"], name="heartbeat_newest_of_part")]
