"""Who else may see a record beside patient and care team: caregivers while allowed, others in an emergency."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from backend.accounts.models.people import Clinic, Person


class BreakGlass(models.Model):
    """A clinician opened the record of a patient whom others care for, for a reason, until `closes_at`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="+")
    patient = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    reason = models.CharField(max_length=500)
    opened_at = models.DateTimeField()
    closes_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(closes_at__gt=F("opened_at")), name="break_glass_closes_again"),
            models.CheckConstraint(condition=~Q(reason=""), name="break_glass_has_a_reason"),
        ]
        indexes = [models.Index(fields=["person", "clinic", "closes_at"], name="break_glass_open_now")]


class Caregiver(models.Model):
    """Someone whom a patient lets see a part of the own record; `shares` holds the codes of `isolation.Share`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="+")
    patient = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="caregivers")
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    shares = ArrayField(models.CharField(max_length=16))
    since_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["patient", "person"], condition=Q(ended_at__isnull=True), name="caregiver_once_while_open"
            ),
            models.CheckConstraint(condition=~Q(patient=F("person")), name="caregiver_not_oneself"),
        ]
        indexes = [models.Index(fields=["person"], condition=Q(ended_at__isnull=True), name="caregiver_sees")]
