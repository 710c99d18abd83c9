"""Sessions as dated rows, and the side effects that a patient reports after them."""

from django.db import models
from django.db.models import F, Q

from backend.accounts.models import Clinic, Person
from backend.aftercare.models import Log, Versioned, log_indexes, remembered, within
from backend.common.fields import NoteField


class Route(models.TextChoices):
    """How ketamine was given."""

    IV = "iv"
    INTRANASAL = "intranasal"
    INTRAMUSCULAR = "intramuscular"
    ORAL = "oral"


class SessionStatus(models.TextChoices):
    """How far a session has come."""

    PLANNED = "planned"
    RUNNING = "running"
    HELD = "held"
    SIGNED = "signed"
    CANCELLED = "cancelled"


@remembered
class Session(Versioned):
    """One treatment session."""

    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="+")
    patient = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    planned_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=10, choices=SessionStatus, default=SessionStatus.PLANNED)
    route = models.CharField(max_length=14, choices=Route)
    dose_mg = models.DecimalField(max_digits=6, decimal_places=1, null=True, blank=True)
    weight_kg = models.DecimalField(max_digits=5, decimal_places=1, null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(route__in=Route.values), name="session_route_known"),
            models.CheckConstraint(condition=Q(status__in=SessionStatus.values), name="session_status_known"),
            models.CheckConstraint(condition=within("dose_mg", 0, 2000), name="session_dose_0_to_2000_mg"),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(started_at__isnull=True) | Q(ended_at__gte=F("started_at")),
                name="session_ends_after_start",
            ),
        ]
        indexes = [
            models.Index(
                fields=["patient", "started_at"],
                condition=Q(started_at__isnull=False, deleted_at__isnull=True),
                name="session_for_trend",
            ),
            models.Index(fields=["clinic", "planned_at"], name="session_list_of_clinic"),
            models.Index(fields=["patient", "change_number"], name="session_for_sync"),
        ]


class SideEffectKind(models.TextChoices):
    """What a patient may feel during and after a session."""

    DIZZINESS = "dizziness"
    NAUSEA = "nausea"
    FATIGUE = "fatigue"
    CONFUSION = "confusion"
    VISUAL_DISTURBANCE = "visual_disturbance"
    DISSOCIATION = "dissociation"
    RAISED_BLOOD_PRESSURE = "raised_blood_pressure"
    VIVID_DREAMS = "vivid_dreams"
    SEDATION = "sedation"
    HEADACHE = "headache"
    URINARY = "urinary"
    MEMORY = "memory"
    LOSS_OF_CONSCIOUSNESS = "loss_of_consciousness"
    OTHER = "other"


@remembered
class SideEffect(Log):
    """A side effect, 1 mild to 3 severe, from its start to its end or still open."""

    kind = models.CharField(max_length=24, choices=SideEffectKind)
    severity = models.SmallIntegerField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    session = models.ForeignKey(Session, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    note = NoteField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=SideEffectKind.values), name="side_effect_kind_known"),
            models.CheckConstraint(condition=Q(severity__gte=1, severity__lte=3), name="side_effect_severity_1_to_3"),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("started_at")),
                name="side_effect_ends_after_start",
            ),
        ]
        indexes = log_indexes("side_effect", "started_at", include=("kind", "severity"))
