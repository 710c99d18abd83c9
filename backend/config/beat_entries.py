"""Beat's few fixed entries: those of the settings are in the database, those that left the settings are removed."""

from django.conf import settings
from django.db import transaction


def settle() -> None:
    """Removes entries that the settings no longer name; the scheduler itself adds and updates the others."""
    from django_celery_beat.models import PeriodicTask, PeriodicTasks

    with transaction.atomic():
        gone = PeriodicTask.objects.exclude(name__in=[*settings.CELERY_BEAT_SCHEDULE, "celery.backend_cleanup"])
        if gone.delete()[0]:
            PeriodicTasks.update_changed()
