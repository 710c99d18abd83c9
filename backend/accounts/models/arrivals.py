"""How people come in: invitations, attempts to sign in, and the mails that accounts sends about them."""

import uuid

from django.db import models
from django.db.models import Q

from backend.accounts.models.people import Clinic, Person, Role


class Invitation(models.Model):
    """The only way in: an address that a clinic's administrator invited, once, for a while."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="+")
    email = models.EmailField()
    full_name = models.CharField(max_length=200)
    role = models.CharField(max_length=16, choices=Role)
    time_zone = models.CharField(max_length=64)
    born_on = models.DateField(null=True, blank=True)
    care_team = models.JSONField(default=list, help_text="Ids of the clinicians who will care for an invited patient.")
    patient = models.ForeignKey(Person, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    shares = models.JSONField(default=list, help_text="What an invited caregiver will see of the patient's record.")
    token_hash = models.CharField(max_length=64)
    invited_by = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    invited_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["token_hash"], name="invitation_token_once"),
            models.CheckConstraint(
                condition=Q(role=Role.CAREGIVER, patient__isnull=False) | ~Q(role=Role.CAREGIVER),
                name="invitation_of_a_caregiver_names_the_patient",
            ),
            models.UniqueConstraint(
                fields=["clinic", "email", "role", "patient"],
                condition=Q(accepted_at__isnull=True, revoked_at__isnull=True),
                nulls_distinct=False,
                name="invitation_one_open_for_a_role",
            ),
        ]
        indexes = [models.Index(fields=["clinic", "-invited_at"], name="invitation_list_of_clinic")]


class SignInAttempt(models.Model):
    """One attempt to sign in, for a few minutes; whose address it was stands nowhere, only a keyed hash of it."""

    id = models.BigAutoField(primary_key=True)
    key = models.CharField(max_length=64)
    tried_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["key", "tried_at"], name="sign_in_attempts_of_address"),
            models.Index(fields=["tried_at"], name="sign_in_attempts_to_forget"),
        ]


class OutboxMail(models.Model):
    """A mail that accounts sends (invitation, sign-in code); the row is written before the attempt."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    recipient = models.EmailField()
    subject = models.CharField(max_length=200)
    text = models.TextField()
    html = models.TextField(blank=True)
    created_at = models.DateTimeField()
    try_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["try_at"],
                condition=Q(sent_at__isnull=True, failed_at__isnull=True),
                name="outbox_due_for_sender",
            )
        ]
