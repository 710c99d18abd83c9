"""Erasure: asked for, confirmed, after days in which it can be taken back done in one transaction, and on record.

Rows are removed by a function of the database's owner (`interop_erase_rows`), which works for an approved request and
for its patient alone: history tables refuse deletions, and no policy lets a job change the rows of another person.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from backend.accounts import access, keys
from backend.accounts.holdings import Fate, Holding, holdings
from backend.common import clock, locks
from backend.interop import exports, ledger, vault
from backend.interop.models import ErasureRequest, ErasureSource, ErasureStatus, LegalHold, RightsSettings

log = structlog.get_logger(__name__)
OPEN = (ErasureStatus.ASKED, ErasureStatus.COOLING, ErasureStatus.ERASING)
PERSON_TABLE = "accounts_person"


class NotNow(ValueError):
    """The request is not in a state that allows this."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay found: entries of the ledger, and how many of them had to be erased again."""

    entries: int
    erased: int


def ask(
    *, patient_id: uuid.UUID, clinic_id: uuid.UUID | None, by: uuid.UUID, reason: str, now: datetime
) -> tuple[ErasureRequest, bool]:
    """The wish, which does nothing before it is confirmed, and whether it is new; while one is open, it is that one."""
    _lock(patient_id)
    known = ErasureRequest.objects.filter(patient_id=patient_id, status__in=OPEN).first()
    if known is not None:
        return known, False
    source = ErasureSource.PATIENT if by == patient_id else ErasureSource.ADMINISTRATOR
    try:
        with transaction.atomic():
            made = ErasureRequest.objects.create(
                patient_id=patient_id, clinic_id=clinic_id, source=source, requested_by_id=by, reason=reason,
                requested_at=now,
            )  # fmt: skip
    except IntegrityError as error:  # one that this asker may not see
        raise NotNow("A request for this patient is open elsewhere.") from error
    return made, True


def is_patient_elsewhere(patient_id: uuid.UUID) -> bool:
    """Whether another clinic cares for this patient too; of an administrator's own patients, and no more than that."""
    return bool(_call("interop_patient_elsewhere", patient_id))


def confirm(*, request: ErasureRequest, now: datetime) -> ErasureRequest:
    """The days run from now on; twice is the same as once. Raises NotNow."""
    request = _locked(request)
    if request.status == ErasureStatus.ASKED:
        cooling_off = RightsSettings.of(request.clinic_id).cooling_off_days
        request.status, request.confirmed_at = ErasureStatus.COOLING, now
        request.erase_after_at = now + timedelta(days=cooling_off)
        request.save(update_fields=["status", "confirmed_at", "erase_after_at"])
    elif request.status == ErasureStatus.CANCELLED:
        raise NotNow("The request was cancelled; make a new one.")
    return request


def cancel(*, request: ErasureRequest, now: datetime) -> ErasureRequest:
    """Takes the wish back; twice is the same as once. Raises NotNow once the erasure has begun."""
    request = _locked(request)
    if request.status in {ErasureStatus.ASKED, ErasureStatus.COOLING}:
        request.status, request.cancelled_at = ErasureStatus.CANCELLED, now
        request.save(update_fields=["status", "cancelled_at"])
    elif request.status != ErasureStatus.CANCELLED:
        raise NotNow("The erasure has begun and cannot be taken back.")
    return request


def held(patient_ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Those of them that a legal hold keeps, in any clinic."""
    found = LegalHold.objects.filter(patient_id__in=list(patient_ids), lifted_at__isnull=True)
    return set(found.values_list("patient_id", flat=True))


def run_due(*, now: datetime) -> int:
    """Erases everyone whose days are over and whom no hold keeps; how many. Raises nothing.

    An erasure that was begun and died with its worker is done now.
    """
    erased = 0
    for id in _due(now):
        try:
            erased += _erase(id, now)
        except Exception as error:  # whatever is wrong with one, the others go on; it is tried again in the next round
            log.error("erasure not done", request=str(id), error=type(error).__name__)
    return erased


def _due(now: datetime) -> list[uuid.UUID]:
    with access.acting_as(None, None, "erasures"):
        begun = ErasureRequest.objects.filter(status=ErasureStatus.ERASING)
        over = ErasureRequest.objects.filter(status=ErasureStatus.COOLING, erase_after_at__lte=now)
        waiting = list(over.values_list("id", "patient_id"))
        kept = held(patient for _, patient in waiting)
        return [*begun.values_list("id", flat=True), *(id for id, patient in waiting if patient not in kept)]


def _erase(id: uuid.UUID, now: datetime) -> bool:
    """No way back from here: begun, written to the ledger, erased; after each step the worker may die."""
    with access.acting_as(None, None, "erasures"):
        row = _unlocked().filter(id=id).first()
        if row is None:
            return False
        if row.status == ErasureStatus.COOLING:
            _call("interop_begin_erasure", id)
    path = Path(settings.ERASURES_FILE)
    if all(entry.request != row.id for entry in ledger.read(path)):
        ledger.add(path, ledger.Entry(row.id, row.patient_id, now))
    with access.acting_as(None, None, "erasures"):
        row = _unlocked().filter(id=id, status=ErasureStatus.ERASING).first()
        if row is None:
            return False
        files = exports.files_about(row.patient_id)
        _finish(row, now)
    for file in files:  # noise already, for their keys went with the rows
        vault.remove(file)
    log.info("erased", request=str(id))
    return True


def _unlocked() -> QuerySet[ErasureRequest]:
    """Requests that nobody else works on."""
    return ErasureRequest.objects.select_for_update(skip_locked=True, of=("self",))


def _finish(row: ErasureRequest, now: datetime) -> None:
    """Removes the rows of every table and the key to what backups hold, and writes the report, in this transaction."""
    works_somewhere = bool(_call("interop_subject_works", row.id))
    report: dict[str, Any] = {"erased": {}, "kept": {}, "account_kept": works_somewhere}
    # The key goes with the rows below; here the processes' memory of it does. A backup from before holds a copy of it:
    # what the ledger of erasures is for.
    keys.forget(row.patient_id)
    for holding in _in_order():
        reason = _why_kept(holding, works_somewhere)
        if reason:
            report["kept"][holding.table] = reason
        else:
            count = int(_call("interop_erase_rows", row.id, holding.table, holding.holder, holding.by_address))
            report["erased"][holding.table] = count
    report["kept"]["audit"] = (
        "who did what and when, by ids, and the reasons given in emergencies: it must be shown later"
    )
    report["data_key"] = "deleted" if report["erased"]["accounts_datakey"] else "none"
    LegalHold.objects.filter(patient_id=row.patient_id).update(reason="", lift_reason="")
    # Words of an earlier, cancelled request are about the person too.
    ErasureRequest.objects.filter(patient_id=row.patient_id).update(reason="")
    ErasureRequest.objects.filter(id=row.id).update(
        status=ErasureStatus.ERASED, erased_at=now, report=report, reason=""
    )


def _in_order() -> list[Holding]:
    """The person's own row last: others are found by its address."""
    return sorted(holdings(), key=lambda holding: holding.table == PERSON_TABLE)


def _why_kept(holding: Holding, works_somewhere: bool) -> str:
    if holding.fate is Fate.KEPT:
        return holding.why
    if works_somewhere and holding.of_account:
        return "the account of someone who also works at a clinic"
    return ""


def replay(path: Path, *, now: datetime | None = None) -> Replayed:
    """Erases again everyone in the ledger whom a restored backup brought back; twice is the same as once.

    To be called before a restored system opens. Raises ledger.Unreadable, and whatever an erasure raises.
    """
    at = now or clock.now()
    entries = {entry.patient: entry for entry in ledger.read(path)}
    erased = 0
    for entry in entries.values():
        with access.acting_as(None, None, "erasures"):
            done = ErasureRequest.objects.filter(id=entry.request, status=ErasureStatus.ERASED).exists()
            if not done:
                _reopen(entry, at)
        if not done:
            erased += _erase_again(entry.request, at)
    return Replayed(entries=len(entries), erased=erased)


def _reopen(entry: ledger.Entry, now: datetime) -> None:
    """The request as the ledger knows it; whatever the backup says of it is older."""
    ErasureRequest.objects.filter(patient_id=entry.patient, status__in=OPEN).exclude(id=entry.request).update(
        status=ErasureStatus.CANCELLED, cancelled_at=now
    )
    ErasureRequest.objects.update_or_create(
        id=entry.request,
        defaults={
            "patient_id": entry.patient,
            "source": ErasureSource.LEDGER,
            "status": ErasureStatus.ERASING,
            "confirmed_at": entry.at,
            "erase_after_at": entry.at,
            "cancelled_at": None,
        },
        create_defaults={
            "patient_id": entry.patient,
            "source": ErasureSource.LEDGER,
            "status": ErasureStatus.ERASING,
            "requested_at": entry.at,
            "confirmed_at": entry.at,
            "erase_after_at": entry.at,
        },
    )


def _erase_again(id: uuid.UUID, now: datetime) -> bool:
    with access.acting_as(None, None, "erasures"):
        row = ErasureRequest.objects.select_for_update(of=("self",)).get(id=id)
        if row.status != ErasureStatus.ERASING:
            return False
        _finish(row, now)
    return True


def _call(function: str, *values: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}({', '.join(['%s'] * len(values))})", values)
        return cursor.fetchone()[0]


def _lock(patient_id: uuid.UUID) -> None:
    locks.take(f"erasure of {patient_id}")


def _locked(request: ErasureRequest) -> ErasureRequest:
    return ErasureRequest.objects.select_for_update(of=("self",)).get(id=request.id)
