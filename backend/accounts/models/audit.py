"""The audit trail: who saw and changed what, and the chain that shows when any of it was altered.

No row points at another table by a foreign key: the trail outlives what it tells of.
"""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models

# The clinic of what happened in none: sign-ins of unknown people, SQL by hand about nobody.
NOWHERE = uuid.UUID(int=0)


class Action(models.TextChoices):
    """What was done."""

    READ = "read"
    LIST = "list"
    EXPORT = "export"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    SIGN_IN = "sign_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_OUT = "sign_out"
    BREAK_GLASS = "break_glass"
    REFUSED = "refused"


class AuditEvent(models.Model):
    """One thing that someone did. Written by functions and triggers of the database only, and never changed.

    Ids begin with the time. `done_at` is by the database's clock. `digest` is the SHA-256 of the rows as a write left
    them (of a deletion, as they were): their text in the order in which the statement wrote them, a line each, in UTC.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    done_at = models.DateTimeField()
    clinic_id = models.UUIDField()
    person_id = models.UUIDField(null=True, help_text="Who; empty for the machinery and for SQL by hand.")
    roles = models.CharField(max_length=120, blank=True, default="", help_text="Held in the clinic then, by commas.")
    action = models.CharField(max_length=16, choices=Action)
    object_type = models.CharField(max_length=60, help_text="The resource by its name in the interface.")
    object_ids = ArrayField(models.UUIDField(), default=list)
    patients = ArrayField(models.UUIDField(), default=list, help_text="Whose content the answer or the rows held.")
    reason = models.CharField(max_length=500, blank=True, default="")
    purpose = models.CharField(max_length=100, blank=True, default="", help_text="The door, job or command.")
    device_id = models.UUIDField(null=True)
    request_id = models.CharField(max_length=64, blank=True, default="")
    address = models.CharField(max_length=45, blank=True, default="", help_text="From where, as an IP address.")
    digest = models.BinaryField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(action__in=Action.values), name="audit_event_action_known"),
        ]
        indexes = [
            models.Index(fields=["clinic_id", "-done_at", "-id"], name="audit_event_list_of_clinic"),
        ]


class AuditSubject(models.Model):
    """An event about a patient, for the list of one patient; a way to find events, and no evidence.

    An index on `patients` cannot serve it: under row-level security only comparisons that leak nothing may use one.
    """

    pk = models.CompositePrimaryKey("patient_id", "done_at", "id")
    patient_id = models.UUIDField()
    done_at = models.DateTimeField()
    id = models.UUIDField(help_text="The event's.")
    clinic_id = models.UUIDField()
    person_id = models.UUIDField(null=True)
    action = models.CharField(max_length=16, choices=Action)


class AuditLink(models.Model):
    """The place of an event in its clinic's chain; `hash` covers the event, the number and the hash before it.

    Events without a clinic have a chain of their own, that of `NOWHERE`.
    """

    event_id = models.UUIDField(primary_key=True, editable=False)
    clinic_id = models.UUIDField()
    number = models.BigIntegerField(help_text="1 for the first of the chain, without holes.")
    digest = models.BinaryField(help_text="SHA-256 of the event, so that the chain can be checked without it.")
    hash = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["clinic_id", "number"], name="audit_link_one_for_each_number"),
        ]


class AuditPending(models.Model):
    """An event that waits for the sealing job; written with it, removed with its link."""

    event_id = models.UUIDField(primary_key=True, editable=False)
    clinic_id = models.UUIDField()
