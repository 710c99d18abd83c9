"""Codes by which a person proves that a number is theirs."""

import uuid
from typing import ClassVar

from django.db import models

from backend.accounts.models import Person


class PhoneCode(models.Model):
    """A code that was sent to a number; only what our key makes of it is kept. It proves the number once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    number = models.CharField(max_length=16)
    digest = models.CharField(max_length=64)
    sent_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["person", "-sent_at"], name="phone_code_newest_of_person")]
