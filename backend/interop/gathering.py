"""Everything about one person as sections of rows, as the one who asks may see it; read while it is written."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db import models
from django.db.models import F, QuerySet

from backend.accounts import notes
from backend.accounts.access import Record
from backend.accounts.holdings import Holding, holdings
from backend.common.fields import NoteField
from backend.interop.formats import Section

PAGE = 2_000  # rows in memory at once


@dataclass(frozen=True)
class Source:
    """A section that can be counted and read; `notes` are its sealed columns, and `sealed_in` the table they are of."""

    name: str
    columns: Sequence[str]
    rows: QuerySet[Any, dict[str, Any]]
    patient_id: uuid.UUID
    notes: tuple[str, ...] = ()
    sealed_in: str = ""

    def count(self) -> int:
        """How many rows it has now."""
        return self.rows.order_by().count()

    def pages(self) -> Iterator[list[dict[str, Any]]]:
        """The rows, a page at a time, with their notes opened; what cannot be read is null and named so."""
        rows = self.rows.iterator(chunk_size=PAGE)
        while page := list(islice(rows, PAGE)):
            if self.notes:
                sealed = [{**row, "patient_id": self.patient_id} for row in page]
                for row, texts in zip(page, notes.opened(self.sealed_in, sealed, self.notes), strict=True):
                    row.update(texts)
                    if unread := notes.unreadable(texts):
                        row[notes.UNREADABLE] = unread
            yield page


def sources(record: Record) -> list[Source]:
    """What an export of this record holds: all of it for the person, the shared parts of the clinic for clinicians."""
    found = [_source(holding, record) for holding in holdings() if holding.section and _is_shown(holding, record)]
    return sorted(found, key=lambda source: (source.name != "profile", source.name))


def _is_shown(holding: Holding, record: Record) -> bool:
    return record.own or holding.for_clinicians


def _source(holding: Holding, record: Record) -> Source:
    assert holding.model is not None  # noqa: S101
    whose = record.patient.email if holding.by_address else record.patient.id
    rows = holding.model._default_manager.filter(**{holding.holder: whose})
    if not record.own and holding.clinic:
        rows = rows.filter(**{holding.clinic: record.clinic_id})
    beside = {name: F(path) for name, path in holding.beside.items()}
    columns = holding.columns
    # An earlier version is sealed as a row of the table that it was a version of.
    sealed_in: type[models.Model] = getattr(holding.model, "pgh_tracked_model", holding.model)
    return Source(
        name=holding.section,
        columns=(*columns, *beside),
        rows=rows.values(*columns, **beside),
        patient_id=record.patient.id,
        notes=tuple(f.attname for f in holding.model._meta.concrete_fields if isinstance(f, NoteField)),
        sealed_in=sealed_in._meta.db_table,
    )


def read(sources_: Sequence[Source], *, each: Callable[[int], None]) -> Iterator[Section]:
    """The sections, whose rows come from the server in pages; `each` hears after each page how many have been read.

    Needs a transaction, whose one snapshot all sections are read in.
    """
    counter = _Counter(each)
    for source in sources_:
        yield Section(source.name, source.columns, counter.through(source.pages()))


class _Counter:
    def __init__(self, each: Callable[[int], None]) -> None:
        self._each, self._read = each, 0

    def through(self, pages: Iterator[list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
        for page in pages:
            yield from page
            self._read += len(page)
            self._each(self._read)


def head(*, record: Record, person_id: uuid.UUID, made_at: Any, sources_: Sequence[Source]) -> dict[str, Any]:
    """What stands at the top of the file."""
    return {
        "patient": record.patient.id,
        "made_for": person_id,
        "made_at": made_at,
        "clinic": record.clinic_id,
        "sections": [source.name for source in sources_],
    }
