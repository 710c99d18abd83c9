"""What the machinery keeps about itself: its counters, and the zone data by which the plan was made. Nobody's data."""

from django.db import models


class Tally(models.Model):
    """A counter of the engine. Several processes share one by `process`, a small number, so that rows stay few."""

    pk = models.CompositePrimaryKey("name", "label", "process")
    name = models.CharField(max_length=32)
    label = models.CharField(max_length=64)
    process = models.SmallIntegerField()
    value = models.BigIntegerField(default=0)


class ZoneData(models.Model):
    """A version of the zone database, and how far the plan was compared with it."""

    version = models.CharField(primary_key=True, max_length=32)
    began_at = models.DateTimeField()
    reached = models.UUIDField(null=True, blank=True, help_text="The last rule that was compared; empty: none yet.")
    checked_at = models.DateTimeField(null=True, blank=True, help_text="When all were compared; empty: not yet.")

    class Meta:
        verbose_name_plural = "zone data"
