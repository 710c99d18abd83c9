"""The patients' data keys, wrapped by a master key that is not in the database."""

import uuid

from django.db import models
from django.db.models import Q

from backend.accounts.models.people import Person


class DataKey(models.Model):
    """One of a patient's keys, under which notes are sealed; where no copy of its row is left, nobody reads them.

    The wrap names its master key. `generation` counts on with each re-encryption; earlier ones are retired and stay
    until nothing needs them.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    patient = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    generation = models.PositiveIntegerField()
    wrapped = models.TextField()
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["patient", "generation"], name="data_key_generation_once"),
            models.UniqueConstraint(
                fields=["patient"], condition=Q(retired_at__isnull=True), name="data_key_one_current"
            ),
            models.CheckConstraint(condition=Q(generation__gte=1), name="data_key_generations_from_1"),
            models.CheckConstraint(condition=Q(wrapped__startswith="w1."), name="data_key_never_unwrapped"),
        ]
