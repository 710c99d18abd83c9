"""What the installation knows about itself: the backups that were made, the restores that were brought in."""

from django.db import models


class Backup(models.Model):
    """A backup that was completed; written by the owner, read for readiness and metrics."""

    name = models.CharField(max_length=100, primary_key=True)
    made_at = models.DateTimeField()
    row_count = models.BigIntegerField()
    byte_count = models.BigIntegerField()

    class Meta:
        db_table = "config_backup"


class Restore(models.Model):
    """A restore of this database; while `opened_at` is empty nobody is served from it."""

    backup = models.CharField(max_length=100)
    restored_at = models.DateTimeField()
    opened_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "config_restore"
