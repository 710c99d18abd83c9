"""Sessions as dated rows, the side effects that a patient reports after them, and what the care team notes beside."""

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


class About(models.TextChoices):
    """The kinds of record that an annotation may point at, by the word that the API uses for one of them."""

    MOOD_CHECK_IN = "mood_check_in"
    SLEEP_LOG = "sleep_log"
    EXERCISE_LOG = "exercise_log"
    NUTRITION_LOG = "nutrition_log"
    SUBSTANCE_LOG = "substance_log"
    SIDE_EFFECT = "side_effect"
    SESSION = "session"
    APPOINTMENT = "appointment"


@remembered
class Annotation(Versioned):
    """What someone of the care team notes beside a patient's own words: about an instant, days, or a record.

    Without `private_at` the patient reads it too. `placed_at` is its place on the trend and in lists: the instant, the
    start of the first day in the patient's zone, or the record's own time.
    """

    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="+")
    patient = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    # No constraint: who once worked here can be erased as a patient, and what they wrote about others stays.
    author = models.ForeignKey(
        Person, on_delete=models.SET_NULL, null=True, db_constraint=False, related_name="+"
    )  # fmt: skip
    about_at = models.DateTimeField(null=True, blank=True)
    about_since_on = models.DateField(null=True, blank=True)
    about_until_on = models.DateField(null=True, blank=True, help_text="The day after the last.")
    about_type = models.CharField(max_length=16, choices=About, blank=True, default="")
    about_id = models.UUIDField(null=True, blank=True)
    placed_at = models.DateTimeField()
    text = NoteField()
    private_at = models.DateTimeField(null=True, blank=True, help_text="Since when only the care team sees it.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(about_at__isnull=True) | Q(about_since_on__isnull=True),
                name="annotation_instant_or_days",
            ),
            models.CheckConstraint(
                condition=Q(about_since_on__isnull=True, about_until_on__isnull=True)
                | Q(about_until_on__gt=F("about_since_on")),
                name="annotation_days_have_both_ends",
            ),
            models.CheckConstraint(
                condition=Q(about_type="", about_id__isnull=True)
                | Q(about_type__in=About.values, about_id__isnull=False),
                name="annotation_points_at_a_known_record",
            ),
            models.CheckConstraint(
                condition=Q(about_at__isnull=False) | Q(about_since_on__isnull=False) | Q(about_id__isnull=False),
                name="annotation_is_about_something",
            ),
            models.CheckConstraint(condition=~Q(patient=F("author")), name="annotation_of_another_person"),
        ]
        indexes = [
            models.Index(fields=["patient", "placed_at", "id"], name="annotation_list_by_time"),
            models.Index(fields=["patient", "change_number"], name="annotation_for_sync"),
        ]
