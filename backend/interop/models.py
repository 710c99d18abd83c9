"""The room's jobs and decisions as rows: exports, requests for erasure, legal holds, retention rules."""

import uuid

from django.db import models
from django.db.models import F, Q

from backend.accounts.models import Clinic, Person


class ExportStatus(models.TextChoices):
    """How far an export has come."""

    WAITING = "waiting"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"
    EXPIRED = "expired"


class Export(models.Model):
    """A file with everything about `patient`, made for `person`, who alone can fetch it until `expires_at`.

    The file lies encrypted under a key of its own, which is in this row and nowhere else.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    patient = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    format = models.CharField(max_length=16)
    status = models.CharField(max_length=8, choices=ExportStatus, default=ExportStatus.WAITING)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True, blank=True)
    requested_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    attempts = models.SmallIntegerField(default=0)
    lease_token = models.UUIDField(null=True, blank=True, help_text="Whoever cannot show it has lost the job.")
    lease_ends_at = models.DateTimeField(null=True, blank=True)
    file_key = models.BinaryField(null=True, blank=True)
    size_bytes = models.BigIntegerField(null=True, blank=True)
    error = models.CharField(max_length=80, blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(status__in=ExportStatus.values), name="export_status_known"),
            models.CheckConstraint(
                condition=~Q(status=ExportStatus.READY) | Q(file_key__isnull=False, expires_at__isnull=False),
                name="export_ready_can_be_read_until_an_hour",
            ),
            models.CheckConstraint(
                condition=Q(status=ExportStatus.READY) | Q(status=ExportStatus.RUNNING) | Q(file_key__isnull=True),
                name="export_key_goes_with_the_file",
            ),
            models.UniqueConstraint(
                fields=["person", "patient", "format"],
                condition=Q(status__in=[ExportStatus.WAITING, ExportStatus.RUNNING]),
                name="export_one_at_a_time",
            ),
        ]
        indexes = [
            models.Index(fields=["person", "-requested_at", "-id"], name="export_list_of_person"),
            models.Index(
                fields=["requested_at"],
                condition=Q(status__in=[ExportStatus.WAITING, ExportStatus.RUNNING]),
                name="export_for_worker",
            ),
            models.Index(fields=["expires_at"], condition=Q(status=ExportStatus.READY), name="export_file_to_remove"),
        ]


class ErasureStatus(models.TextChoices):
    """How far a request has come; `held` is no status but a cooling request under an open legal hold."""

    ASKED = "asked"
    COOLING = "cooling"
    ERASING = "erasing"
    ERASED = "erased"
    CANCELLED = "cancelled"


class ErasureSource(models.TextChoices):
    """Where a request came from."""

    PATIENT = "patient"
    ADMINISTRATOR = "administrator"
    LEDGER = "ledger"


class ErasureRequest(models.Model):
    """A wish to be erased, and afterwards the record that it was done: ids, instants and counts, no name.

    `patient_id` and `requested_by_id` are no foreign keys: the row outlives the person.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    patient_id = models.UUIDField()
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    source = models.CharField(max_length=13, choices=ErasureSource)
    requested_by_id = models.UUIDField(null=True, blank=True)
    reason = models.TextField(blank=True, default="", help_text="Emptied when the erasure is done.")
    status = models.CharField(max_length=9, choices=ErasureStatus, default=ErasureStatus.ASKED)
    requested_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    erase_after_at = models.DateTimeField(null=True, blank=True, help_text="Until then it can be cancelled.")
    cancelled_at = models.DateTimeField(null=True, blank=True)
    erased_at = models.DateTimeField(null=True, blank=True)
    report = models.JSONField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(status__in=ErasureStatus.values), name="erasure_status_known"),
            models.CheckConstraint(
                condition=Q(status__in=[ErasureStatus.ASKED, ErasureStatus.CANCELLED])
                | Q(confirmed_at__isnull=False, erase_after_at__isnull=False),
                name="erasure_begins_only_confirmed",
            ),
            models.CheckConstraint(
                condition=~Q(status=ErasureStatus.ERASED) | Q(erased_at__isnull=False, report__isnull=False, reason=""),
                name="erasure_done_keeps_a_report_and_no_words",
            ),
            models.UniqueConstraint(
                fields=["patient_id"],
                condition=Q(status__in=[ErasureStatus.ASKED, ErasureStatus.COOLING, ErasureStatus.ERASING]),
                name="erasure_one_open_request",
            ),
        ]
        indexes = [
            models.Index(
                fields=["erase_after_at"],
                condition=Q(status__in=[ErasureStatus.COOLING, ErasureStatus.ERASING]),
                name="erasure_for_worker",
            ),
            models.Index(fields=["clinic", "-requested_at", "-id"], name="erasure_list_of_clinic"),
            models.Index(fields=["patient_id", "-requested_at"], name="erasure_list_of_patient"),
        ]


class LegalHold(models.Model):
    """While it is open nothing of this patient is erased, neither by request nor by a retention rule."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    patient_id = models.UUIDField()
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="+")
    reason = models.TextField(help_text="Emptied when the patient is erased.")
    set_by_id = models.UUIDField()
    set_at = models.DateTimeField()
    lifted_by_id = models.UUIDField(null=True, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)
    lift_reason = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(lifted_at__isnull=True) | Q(lifted_at__gte=F("set_at")), name="hold_lifted_after_set"
            ),
            models.UniqueConstraint(
                fields=["patient_id", "clinic"], condition=Q(lifted_at__isnull=True), name="hold_once_while_open"
            ),
        ]
        indexes = [models.Index(fields=["clinic", "-set_at", "-id"], name="hold_list_of_clinic")]


class RetentionRule(models.Model):
    """After so many days a clinic no longer keeps this kind of rows; without a rule everything stays."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=40)
    keep_days = models.IntegerField()
    basis = models.CharField(max_length=500, help_text="The law or the decision that the clinic goes by.")
    set_by_id = models.UUIDField()
    set_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["clinic", "kind"], name="retention_one_rule_for_a_kind"),
            # Ours: shorter than the window of the trend's baseline would blind the care team.
            models.CheckConstraint(
                condition=Q(keep_days__gte=90, keep_days__lte=36_500), name="retention_90_days_to_100_years"
            ),
        ]


class RightsSettings(models.Model):
    """What a clinic decides about the rights of its people; a clinic without a row goes by ours."""

    clinic = models.OneToOneField(Clinic, on_delete=models.CASCADE, primary_key=True, related_name="+")
    cooling_off_days = models.SmallIntegerField(default=7, help_text="In which an erasure can be taken back; ours: 7")
    export_hours = models.SmallIntegerField(default=72)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(cooling_off_days__gte=0, cooling_off_days__lte=30), name="rights_cooling_off_0_to_30_days"
            ),
            models.CheckConstraint(
                condition=Q(export_hours__gte=1, export_hours__lte=720), name="rights_export_1_to_720_hours"
            ),
        ]

    @classmethod
    def of(cls, clinic_id: uuid.UUID | None) -> "RightsSettings":
        """The clinic's own, or ours, not stored."""
        return (cls.objects.filter(clinic_id=clinic_id).first() if clinic_id else None) or cls()
