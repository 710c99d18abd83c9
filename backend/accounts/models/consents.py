"""Consent documents of a clinic, and each agreement and withdrawal as a row that nothing changes."""

import uuid
from typing import ClassVar

import pgtrigger
from django.db import models
from django.db.models import Q

from backend.accounts.consent_texts import Purpose


class Act(models.TextChoices):
    """What a patient did about a document."""

    AGREED = "agreed"
    WITHDRAWN = "withdrawn"


class ConsentDocument(models.Model):
    """A clinic's own words for a purpose, in one language; published once and never edited."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clinic = models.ForeignKey("accounts.Clinic", on_delete=models.CASCADE, related_name="+")
    purpose = models.CharField(max_length=32, choices=Purpose)
    version = models.IntegerField()
    language = models.CharField(max_length=10)
    title = models.CharField(max_length=200)
    text = models.TextField()
    published_at = models.DateTimeField()
    binding_at = models.DateTimeField(help_text="From here on an agreement to an earlier version no longer holds.")
    published_by_id = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["clinic", "purpose", "version", "language"], name="consent_document_once_per_language"
            ),
            models.CheckConstraint(condition=Q(version__gte=1), name="consent_document_version_counts_from_1"),
            models.CheckConstraint(
                condition=Q(binding_at__gte=models.F("published_at")), name="consent_document_binds_once_published"
            ),
        ]
        triggers: ClassVar = [pgtrigger.Protect(name="published_stays", operation=pgtrigger.Update)]


class ConsentRecord(models.Model):
    """One agreement or withdrawal: who, for which clinic, to which words, when, from which device."""

    id = models.BigAutoField(primary_key=True)
    patient = models.ForeignKey("accounts.Person", on_delete=models.CASCADE, related_name="+")
    clinic = models.ForeignKey("accounts.Clinic", on_delete=models.CASCADE, related_name="+")
    purpose = models.CharField(max_length=32, choices=Purpose)
    act = models.CharField(max_length=9, choices=Act)
    version = models.IntegerField()
    language = models.CharField(max_length=10)
    text_sha256 = models.CharField(max_length=64, help_text="Of the words that were shown.")
    recorded_at = models.DateTimeField()
    device_id = models.UUIDField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(purpose__in=Purpose.values), name="consent_purpose_known"),
            models.CheckConstraint(condition=Q(act__in=Act.values), name="consent_act_known"),
        ]
        indexes = [models.Index(fields=["patient", "clinic", "purpose", "-id"], name="consent_newest_of_purpose")]
        triggers: ClassVar = [pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete)]
