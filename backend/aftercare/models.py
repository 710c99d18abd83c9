"""The patient's logs and appointments as rows; what must always hold is a constraint with a name that says it."""

import uuid
from typing import Any

import pghistory
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from backend.accounts.models import Clinic, Person
from backend.common.fields import NoteField


class Source(models.TextChoices):
    """Where an entry came from."""

    PATIENT = "patient"
    STAFF = "staff"
    IMPORT = "import"


def remembered(model: type[models.Model]) -> type[models.Model]:
    """Keeps what an update or a delete replaced; the row itself is the newest version, so inserts cost nothing."""
    return pghistory.track(  # type: ignore[no-any-return]
        pghistory.UpdateEvent(row=pghistory.Old), pghistory.DeleteEvent(row=pghistory.Old), append_only=True
    )(model)


def within(field: str, low: float, high: float) -> Q:
    """The field is empty or between both ends, inclusive."""
    return Q(**{f"{field}__isnull": True}) | Q(**{f"{field}__gte": low, f"{field}__lte": high})


class Versioned(models.Model):
    """What a phone keeps in step with the server: its id, version, change number and tombstone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    version = models.IntegerField(default=1)
    change_number = models.BigIntegerField()
    received_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class Log(Versioned):
    """One entry of a patient's own report."""

    patient = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    source = models.CharField(max_length=8, choices=Source, default=Source.PATIENT)
    skew_ms = models.BigIntegerField(
        null=True, blank=True, help_text="The phone's clock against ours when it sent, in ms."
    )

    class Meta:
        abstract = True


def log_indexes(name: str, own_time: str, *, include: tuple[str, ...] = ()) -> list[models.Index]:
    """The two readers that every kind of log has: lists and trends by its own time, sync by change number."""
    trend: dict[str, Any] = {"include": include} if include else {}
    return [
        models.Index(fields=["patient", own_time, "id"], name=f"{name}_list_by_time"),
        models.Index(
            fields=["patient", own_time], name=f"{name}_for_trend", condition=Q(deleted_at__isnull=True), **trend
        ),
        models.Index(fields=["patient", "change_number"], name=f"{name}_for_sync"),
    ]


@remembered
class MoodCheckIn(Log):
    """How the patient feels, several times a day if need be. Scores: 0 worst (or least) to 10 best (or most)."""

    felt_at = models.DateTimeField()
    time_zone = models.CharField(max_length=64)
    mood = models.SmallIntegerField()
    anxiety = models.SmallIntegerField(null=True, blank=True)
    energy = models.SmallIntegerField(null=True, blank=True)
    irritability = models.SmallIntegerField(null=True, blank=True)
    craving = models.SmallIntegerField(null=True, blank=True)
    clarity = models.SmallIntegerField(null=True, blank=True)
    tags = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    note = NoteField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(mood__gte=0, mood__lte=10), name="checkin_mood_0_to_10"),
            *(
                models.CheckConstraint(condition=within(name, 0, 10), name=f"checkin_{name}_0_to_10")
                for name in ("anxiety", "energy", "irritability", "craving", "clarity")
            ),
            models.CheckConstraint(condition=Q(tags__len__lte=10), name="checkin_at_most_10_tags"),
        ]
        indexes = log_indexes("checkin", "felt_at", include=("mood",))


@remembered
class SleepLog(Log):
    """One night, named by the date on which the patient woke up."""

    night_of = models.DateField()
    asleep_at = models.DateTimeField(null=True, blank=True)
    awake_at = models.DateTimeField(null=True, blank=True)
    minutes_asleep = models.SmallIntegerField(null=True, blank=True)
    quality = models.SmallIntegerField(null=True, blank=True)
    awakenings = models.SmallIntegerField(null=True, blank=True)
    note = NoteField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=within("minutes_asleep", 0, 1440), name="sleep_minutes_within_a_day"),
            models.CheckConstraint(condition=within("quality", 0, 10), name="sleep_quality_0_to_10"),
            models.CheckConstraint(condition=within("awakenings", 0, 100), name="sleep_awakenings_0_to_100"),
            models.CheckConstraint(
                condition=Q(asleep_at__isnull=True) | Q(awake_at__isnull=True) | Q(awake_at__gt=F("asleep_at")),
                name="sleep_wakes_after_falling_asleep",
            ),
        ]
        indexes = log_indexes("sleep", "night_of", include=("minutes_asleep", "quality"))


class Intensity(models.TextChoices):
    """How hard the exercise was."""

    LIGHT = "light"
    MODERATE = "moderate"
    VIGOROUS = "vigorous"


@remembered
class ExerciseLog(Log):
    """One bout of movement."""

    started_at = models.DateTimeField()
    time_zone = models.CharField(max_length=64)
    kind = models.CharField(max_length=40)
    minutes = models.SmallIntegerField()
    intensity = models.CharField(max_length=8, choices=Intensity, null=True, blank=True)  # noqa: DJ001
    steps = models.IntegerField(null=True, blank=True)
    distance_m = models.IntegerField(null=True, blank=True)
    note = NoteField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(minutes__gte=0, minutes__lte=1440), name="exercise_minutes_within_a_day"
            ),
            models.CheckConstraint(condition=within("steps", 0, 200_000), name="exercise_steps_believable"),
            models.CheckConstraint(condition=within("distance_m", 0, 1_000_000), name="exercise_distance_believable"),
        ]
        indexes = log_indexes("exercise", "started_at", include=("minutes",))


@remembered
class NutritionLog(Log):
    """One day's meals and water."""

    day = models.DateField()
    meals = models.SmallIntegerField(null=True, blank=True)
    water_ml = models.IntegerField(null=True, blank=True)
    quality = models.SmallIntegerField(null=True, blank=True)
    note = NoteField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=within("meals", 0, 20), name="nutrition_meals_0_to_20"),
            models.CheckConstraint(condition=within("water_ml", 0, 20_000), name="nutrition_water_0_to_20_l"),
            models.CheckConstraint(condition=within("quality", 0, 10), name="nutrition_quality_0_to_10"),
        ]
        indexes = log_indexes("nutrition", "day", include=("meals", "water_ml", "quality"))


class Substance(models.TextChoices):
    """What a patient stays away from, or used."""

    ALCOHOL = "alcohol"
    CANNABIS = "cannabis"
    NICOTINE = "nicotine"
    OPIOIDS = "opioids"
    STIMULANTS = "stimulants"
    SEDATIVES = "sedatives"
    KETAMINE_OUTSIDE_TREATMENT = "ketamine_outside_treatment"
    OTHER = "other"


@remembered
class SubstanceLog(Log):
    """One answer to 'did you use it today?', without judgement."""

    day = models.DateField()
    substance = models.CharField(max_length=30, choices=Substance)
    used = models.BooleanField()
    amount = models.DecimalField(max_digits=9, decimal_places=2, null=True, blank=True)
    unit = models.CharField(max_length=40, blank=True, default="")
    craving = models.SmallIntegerField(null=True, blank=True)
    triggers = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    what_helped = NoteField()
    note = NoteField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(substance__in=Substance.values), name="substance_known"),
            models.CheckConstraint(condition=within("craving", 0, 10), name="substance_craving_0_to_10"),
            models.CheckConstraint(condition=within("amount", 0, 1_000_000), name="substance_amount_not_negative"),
            models.CheckConstraint(condition=Q(triggers__len__lte=10), name="substance_at_most_10_triggers"),
        ]
        indexes = log_indexes("substance", "day", include=("substance", "used"))


class AppointmentKind(models.TextChoices):
    """What an appointment is for."""

    FOLLOW_UP = "follow_up"
    THERAPY = "therapy"
    TREATMENT = "treatment"


class AppointmentStatus(models.TextChoices):
    """How far an appointment, or one occurrence of it, has come."""

    PLANNED = "planned"
    CONFIRMED = "confirmed"
    MOVE_ASKED = "move_asked"
    CANCELLED = "cancelled"
    HELD = "held"
    NO_SHOW = "no_show"


@remembered
class Appointment(Versioned):
    """A visit, once or recurring; the wall time of a recurring one is kept in its own zone."""

    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="+")
    patient = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=12, choices=AppointmentKind)
    starts_at = models.DateTimeField()
    time_zone = models.CharField(max_length=64)
    minutes = models.SmallIntegerField()
    with_person = models.ForeignKey(Person, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    rrule = models.CharField(max_length=500, null=True, blank=True)  # noqa: DJ001
    exdates = ArrayField(models.DateTimeField(), default=list, blank=True)
    place = models.CharField(max_length=200, blank=True, default="")
    link = models.CharField(max_length=500, blank=True, default="")
    note = NoteField()
    status = models.CharField(max_length=12, choices=AppointmentStatus, default=AppointmentStatus.PLANNED)
    expanded_until_at = models.DateTimeField(help_text="Occurrences up to here exist as rows.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(minutes__gte=5, minutes__lte=1440), name="appointment_minutes_5_to_1440"
            ),
            models.CheckConstraint(condition=Q(kind__in=AppointmentKind.values), name="appointment_kind_known"),
            models.CheckConstraint(condition=Q(status__in=AppointmentStatus.values), name="appointment_status_known"),
        ]
        indexes = [
            models.Index(fields=["patient", "starts_at", "id"], name="appointment_list_by_time"),
            models.Index(fields=["clinic", "starts_at", "id"], name="appointment_list_of_clinic"),
            models.Index(fields=["patient", "change_number"], name="appointment_for_sync"),
            models.Index(
                fields=["expanded_until_at"],
                condition=Q(rrule__isnull=False, deleted_at__isnull=True),
                name="appointment_to_expand",
            ),
        ]


@remembered
class Occurrence(models.Model):
    """One time at which an appointment happens; reminders hang on it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    appointment = models.ForeignKey(Appointment, on_delete=models.CASCADE, related_name="occurrences")
    patient = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    original_starts_at = models.DateTimeField(help_text="What the rule gave; stays when the occurrence is moved.")
    starts_at = models.DateTimeField()
    status = models.CharField(max_length=12, choices=AppointmentStatus, default=AppointmentStatus.PLANNED)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["appointment", "original_starts_at"], name="occurrence_once"),
            models.CheckConstraint(condition=Q(status__in=AppointmentStatus.values), name="occurrence_status_known"),
        ]
        indexes = [models.Index(fields=["patient", "starts_at"], name="occurrence_of_patient_by_time")]


class PatientState(models.Model):
    """What the panel needs of a patient, kept in the transaction of each write; dates are compared at read."""

    patient = models.OneToOneField(Person, on_delete=models.CASCADE, primary_key=True, related_name="+")
    last_entry_at = models.DateTimeField(null=True, blank=True, help_text="When a log of any kind last arrived.")
    last_felt_at = models.DateTimeField(null=True, blank=True)
    last_mood = models.SmallIntegerField(null=True, blank=True)
