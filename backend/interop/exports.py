"""Exports: asking for one, and making it, in the context of the one who asked and of nobody else.

A job is leased, read in one snapshot, written to a file beside its place and moved there when it is whole; a job that
was killed is taken up again from the beginning, and nothing half done can be fetched.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

import structlog
from celery import current_app
from django.conf import settings
from django.core import signing
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from backend.accounts import access
from backend.accounts.access import Actor, Record
from backend.accounts.models import Person
from backend.common import clock, locks
from backend.common.problems import Problem, not_found
from backend.interop import gathering, vault
from backend.interop.formats import FORMATS
from backend.interop.models import Export, ExportStatus, RightsSettings

log = structlog.get_logger(__name__)
LEASE = timedelta(minutes=5)
ATTEMPTS = 5
_OPEN = (ExportStatus.WAITING, ExportStatus.RUNNING)
_SALT = "backend.interop.exports"


class Lost(Exception):
    """Someone else holds the job now."""


def request(*, actor: Actor, record: Record, format: str, now: datetime) -> tuple[Export, bool]:
    """An export that a worker makes in a moment, and whether it is new: while one is being made, it is that one."""
    wanted = {"person": actor.person, "patient": record.patient, "format": format}
    locks.take(f"exports of {actor.person.id}")
    known = Export.objects.filter(**wanted, status__in=_OPEN).first()
    if known is not None:
        return known, False
    job = Export.objects.create(**wanted, clinic_id=actor.clinic_id, requested_at=now)
    transaction.on_commit(_ring, robust=True)
    return job, True


def _ring() -> None:
    current_app.send_task("interop.work", expires=25, ignore_result=True)


def path_of(job: Export) -> Path:
    """Where the file lies; each attempt has a place of its own, so one that lost its lease spoils no other."""
    return Path(settings.EXPORTS_DIR) / f"{job.id}.{job.lease_token}.sealed"


def signature(job: Export) -> str:
    """Signs who may fetch what until when; the link works only together with that person's sign-in."""
    return signing.Signer(salt=_SALT).signature(f"{job.id} {job.person_id} {job.expires_at}")


def run_due(*, now: datetime, waited: timedelta = timedelta()) -> int:
    """Makes what was asked for at least so long ago, oldest first; how many files came of it. Raises nothing."""
    made = 0
    while (job := _lease(now, waited)) is not None:
        try:
            _make(job, now)
            made += 1
        except Lost:
            continue
        except Exception as error:  # whatever is wrong with one, the others go on
            code = error.code if isinstance(error, Problem) else type(error).__name__
            log.warning("export not made", export=str(job.id), attempt=job.attempts, error=code)
            _give_back(job, code, final=isinstance(error, Problem) or job.attempts >= ATTEMPTS, now=now)
    return made


def _lease(now: datetime, waited: timedelta) -> Export | None:
    """Takes a job and commits, before anything is read; one that died with its worker is free after its lease."""
    free = Q(status=ExportStatus.WAITING) & (Q(lease_ends_at__isnull=True) | Q(lease_ends_at__lt=now))
    died = Q(status=ExportStatus.RUNNING, lease_ends_at__lt=now)
    with access.acting_as(None, None, "exports"):
        due = Export.objects.select_for_update(skip_locked=True, of=("self",))
        job = due.filter(free | died, requested_at__lte=now - waited).order_by("requested_at").first()
        if job is None:
            return None
        if job.attempts >= ATTEMPTS:  # it took its workers with it
            job.status, job.error, job.finished_at, job.file_key = ExportStatus.FAILED, "gave_up", now, None
        else:
            job.status, job.started_at = ExportStatus.RUNNING, job.started_at or now
        job.attempts += 1
        job.done, job.lease_token, job.lease_ends_at = 0, uuid.uuid4(), now + LEASE
        job.save()
        return job if job.status == ExportStatus.RUNNING else None


def _make(job: Export, now: datetime) -> None:
    key = vault.new_key()
    form = FORMATS[job.format]
    context = access.acting_as(job.person_id, job.clinic_id, "export", isolation="repeatable read")
    with _progress(job) as told, context:
        record = record_of(job)
        found = gathering.sources(record)
        told.put(("total", sum(source.count() for source in found)))
        head = gathering.head(record=record, person_id=job.person_id, made_at=now, sources_=found)
        with vault.Writer(path_of(job), key=key) as out:
            form.write(out, head, gathering.read(found, each=lambda n: told.put(("done", n))))
    with access.acting_as(None, None, "exports"):
        expires_at = now + timedelta(hours=RightsSettings.of(job.clinic_id).export_hours)
        kept = _mine(job).update(
            status=ExportStatus.READY, file_key=key, size_bytes=out.size, expires_at=expires_at, finished_at=now,
            lease_ends_at=None, error="",
        )  # fmt: skip
    if not kept:  # the lease was over, and another worker has the job or the person is gone
        vault.remove(path_of(job))
        raise Lost


def record_of(job: Export) -> Record:
    """The record as the one who asked may open it at this moment. Raises a 404 problem."""
    person = Person.objects.get(id=job.person_id)
    if job.patient_id == person.id:
        return Record(patient=person, clinic_id=None)
    return record_for(actor=access.actor_of(person=person, clinic_id=job.clinic_id), about=job.patient_id)


def record_for(*, actor: Actor, about: uuid.UUID) -> Record:
    """One's own record, whatever the role, or a patient's of the care team. Raises a 404 problem.

    An emergency opens a record to be read, and a caregiver sees what was shared: neither is taken away as a file.
    """
    if about == actor.person.id:
        return Record(patient=actor.person, clinic_id=None)
    if not actor.is_clinician:
        raise not_found()
    team = {"care_team__member": actor.person, "care_team__clinic": actor.here, "care_team__ended_at__isnull": True}
    patient = access.patients_of(actor).filter(id=about, **team).first()
    if patient is None:
        raise not_found()
    return Record(patient=patient, clinic_id=actor.here)


def _mine(job: Export) -> "QuerySet[Export]":
    return Export.objects.filter(id=job.id, lease_token=job.lease_token, status=ExportStatus.RUNNING)


@contextmanager
def _progress(job: Export) -> Iterator["SimpleQueue[tuple[str, int] | None]"]:
    """Writes the progress down on a connection of its own, for the reading holds one transaction open throughout.

    It also prolongs the lease. A failure in it costs the progress and not the export.
    """
    news: SimpleQueue[tuple[str, int] | None] = SimpleQueue()

    def write() -> None:
        try:
            while (told := news.get()) is not None:
                with access.acting_as(None, None, "exports"):
                    _mine(job).update(**dict([told]), lease_ends_at=clock.now() + LEASE)
        except Exception as error:
            log.warning("progress not written", export=str(job.id), error=type(error).__name__)
        finally:
            connection.close()

    writer = Thread(target=write, name="export progress", daemon=True)
    writer.start()
    try:
        yield news
    finally:
        news.put(None)
        writer.join()


def _give_back(job: Export, error: str, *, final: bool, now: datetime) -> None:
    pause = timedelta(seconds=30 * 2**job.attempts)
    with access.acting_as(None, None, "exports"):
        _mine(job).update(
            status=ExportStatus.FAILED if final else ExportStatus.WAITING,
            error=error[:80],
            finished_at=now if final else None,
            lease_token=None,
            lease_ends_at=None if final else now + pause,
        )


def expire(*, now: datetime) -> int:
    """Removes the files whose hour has come, and first their keys, without which they are noise; how many."""
    with access.acting_as(None, None, "exports"):
        over = Export.objects.select_for_update(skip_locked=True, of=("self",))
        jobs = list(over.filter(status=ExportStatus.READY, expires_at__lte=now))
        Export.objects.filter(id__in=[job.id for job in jobs]).update(status=ExportStatus.EXPIRED, file_key=None)
    for job in jobs:
        vault.remove(path_of(job))
    return len(jobs)


def files_about(patient_id: uuid.UUID) -> list[Path]:
    """Where files about this patient lie, whoever asked for them."""
    jobs = Export.objects.filter(patient_id=patient_id, lease_token__isnull=False)
    return [path_of(job) for job in jobs]


def sweep_files(*, now: datetime) -> int:
    """Removes day-old files that belong to no export any more (a killed job left them); how many."""
    folder = Path(settings.EXPORTS_DIR)
    old = [p for p in folder.glob("*.*") if p.stat().st_mtime < (now - timedelta(days=1)).timestamp()]
    found = {path.with_suffix(".sealed") for path in old if path.suffix in {".sealed", ".part"}}
    if not found:
        return 0
    with access.acting_as(None, None, "exports"):
        alive = Export.objects.filter(status__in=[ExportStatus.RUNNING, ExportStatus.READY])
        orphans = found - {path_of(job) for job in alive}
    for path in orphans:
        vault.remove(path)
    return len(orphans)
