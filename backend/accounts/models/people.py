"""Clinics, persons, their roles, who cares for whom, where they live."""

import uuid
from collections.abc import Iterable, Mapping
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils.functional import cached_property
from django.utils.module_loading import import_string


class Role(models.TextChoices):
    """What a person is in a clinic."""

    PATIENT = "patient"
    CAREGIVER = "caregiver"
    PSYCHIATRIST = "psychiatrist"
    THERAPIST = "therapist"
    NURSE = "nurse"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


CLINICIANS = frozenset({Role.PSYCHIATRIST, Role.THERAPIST, Role.NURSE})
ADMINISTRATORS = frozenset({Role.ADMINISTRATOR})
OVERSEERS = frozenset({Role.ADMINISTRATOR, Role.AUDITOR})
STAFF = CLINICIANS | {Role.ADMINISTRATOR, Role.AUDITOR}


class Clinic(models.Model):
    """One practice or hospital department; its people and records are closed to every other."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    short_name = models.CharField(
        max_length=30, help_text="The only name that subjects, lock screens and calendars show."
    )
    country = models.CharField(max_length=2, help_text="ISO 3166-1 alpha-2")
    time_zone = models.CharField(max_length=64)
    phone = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField()


class PersonManager(BaseUserManager["Person"]):
    """Finds persons by e-mail address, whatever its case."""

    def get_by_natural_key(self, email: str | None) -> "Person":
        """The person who signs in with this address. Raises Person.DoesNotExist."""
        return self.get(email=(email or "").lower())


class SexAtBirth(models.TextChoices):
    """For the bands of questionnaires that differ by sex (AUDIT-C)."""

    FEMALE = "female"
    MALE = "male"
    INTERSEX = "intersex"
    UNDISCLOSED = "undisclosed"


class Person(AbstractBaseUser):
    """Anyone who signs in. Roles are memberships; the record of a patient hangs on this row."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    full_name = models.CharField(max_length=200)
    time_zone = models.CharField(max_length=64)
    locale = models.CharField(max_length=10, default="en")
    country = models.CharField(max_length=2, blank=True)
    born_on = models.DateField(null=True, blank=True)
    sex_at_birth = models.CharField(max_length=12, choices=SexAtBirth, default=SexAtBirth.UNDISCLOSED)
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    channels = models.JSONField(
        default=list, help_text="Channels beside the inbox, in the order in which they are tried."
    )
    reminder_choices = models.JSONField(
        default=dict,
        help_text='What differs for a purpose: {"check_in": {"channels": ["push"]}, "own": {"off": true}}',
    )
    daily_cap = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="How many habit reminders a day at most; empty: the usual number."
    )
    detailed_messages_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when messages may say what they are about; empty: never."
    )
    phone = models.CharField(max_length=16, blank=True, default="", help_text="E.164; for text messages")
    phone_confirmed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    deactivated_at = models.DateTimeField(null=True, blank=True)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = PersonManager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(email=Lower("email")), name="person_email_lower_case"),
            models.CheckConstraint(
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="person_quiet_hours_have_both_ends",
            ),
            models.CheckConstraint(
                condition=Q(phone="") | Q(phone__regex=r"^\+[1-9][0-9]{6,14}$"), name="person_phone_e164"
            ),
        ]

    @cached_property
    def open_roles(self) -> Mapping[uuid.UUID, frozenset[str]]:
        """The roles that the person holds now, by clinic, oldest membership first; the token's query fills it too."""
        memberships = self.memberships.filter(ended_at__isnull=True).order_by("since_at", "id")
        return by_clinic(memberships.values_list("clinic_id", "role"))

    @property
    def is_active(self) -> bool:  # type: ignore[override]
        """Django's word for a person who may sign in."""
        return self.deactivated_at is None

    def __str__(self) -> str:
        return str(self.id)


def by_clinic(memberships: Iterable[tuple[uuid.UUID, str]]) -> Mapping[uuid.UUID, frozenset[str]]:
    """(clinic, role) pairs as the roles of each clinic, in the order of the pairs."""
    roles: dict[uuid.UUID, set[str]] = {}
    for clinic, role in memberships:
        roles.setdefault(clinic, set()).add(role)
    return {clinic: frozenset(held) for clinic, held in roles.items()}


class Session(AbstractBaseSession):
    """A sign-in, on one phone or browser; it knows its person, so that a token costs one query and can be listed."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, null=True, related_name="sessions")
    seen_at = models.DateTimeField(null=True)

    @classmethod
    def get_session_store_class(cls) -> type[SessionBase]:
        """The store that reads and writes this table."""
        store: type[SessionBase] = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
        return store


class Membership(models.Model):
    """A person's role in a clinic. One person may have several."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="memberships")
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role)
    since_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["person", "clinic", "role"],
                condition=Q(ended_at__isnull=True),
                name="membership_once_while_open",
            ),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="membership_role_known"),
        ]


class CareTeamMember(models.Model):
    """A clinician cares for a patient, from `since_at` until `ended_at`; without it a clinician sees nothing."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="+")
    patient = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="care_team")
    member = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="cares_for")
    since_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["member", "clinic", "patient"],
                condition=Q(ended_at__isnull=True),
                name="care_team_once_while_open",
            ),
            models.CheckConstraint(condition=~Q(patient=F("member")), name="care_team_not_oneself"),
        ]
        indexes = [
            models.Index(fields=["patient", "clinic"], condition=Q(ended_at__isnull=True), name="care_team_of_patient"),
        ]


class ZoneStay(models.Model):
    """From `since_at` on the person lived in `time_zone`; past days keep the zone in which they were lived."""

    id = models.BigAutoField(primary_key=True)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="zone_stays")
    time_zone = models.CharField(max_length=64)
    since_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "since_at"], name="zone_stay_one_at_a_time")]


class PatientCounter(models.Model):
    """The number of a patient's latest change; each synced row carries the number of its own last change."""

    patient = models.OneToOneField(Person, on_delete=models.CASCADE, primary_key=True, related_name="+")
    value = models.BigIntegerField(default=0)


class Device(models.Model):
    """A phone or browser that a person signed in with."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="devices")
    platform = models.CharField(max_length=20)
    agent = models.CharField(max_length=200, blank=True, help_text="What the program calls itself.")
    address = models.CharField(max_length=45, blank=True, help_text="The network address of the latest sign-in.")
    push = models.JSONField(null=True, blank=True)
    app_version = models.CharField(max_length=40, blank=True)
    locale = models.CharField(max_length=10, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    seen_at = models.DateTimeField()
