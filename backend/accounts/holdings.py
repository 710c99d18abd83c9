"""What is held about a person, table by table: each room declares its own, and exports, erasure and retention read it.

A test holds this registry against the database: a table with a column that names a person and no line here fails it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from django.apps import apps
from django.db import models


class Fate(Enum):
    """What becomes of a table's rows when their person is erased."""

    ERASED = "erased"
    KEPT = "kept"


@dataclass(frozen=True, kw_only=True)
class Holding:
    """One table, as far as it concerns the person whom one of its columns names."""

    table: str
    # The column that names whose row it is: an id, or with `by_address` the person's e-mail address.
    holder: str
    by_address: bool = False
    model: type[models.Model] | None = None
    # The name in an export; empty when it is in none, and then `why` says why. A kept table says why it is kept.
    section: str = ""
    why: str = ""
    fate: Fate = Fate.ERASED
    # Part of the account, not of the record: it stays for a patient who also works at a clinic.
    of_account: bool = False
    # Whether the export that a clinician of the care team makes has it; `clinic` then narrows it to that clinic.
    for_clinicians: bool = False
    clinic: str = ""
    # What never leaves in an export, and what is looked up elsewhere: {name in the export: path of relations}.
    hidden: frozenset[str] = frozenset()
    beside: Mapping[str, str] = field(default_factory=dict)
    # The column by which a retention rule of this name (`kind`) counts; rows below a removed one name their parent.
    kind: str = ""
    own_time: str = ""
    parent: tuple[str, str] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of an export, without those looked up elsewhere."""
        assert self.model is not None  # noqa: S101
        names = [f.attname for f in self.model._meta.concrete_fields if f.attname not in self.hidden]
        return tuple(name for name in names if name not in _MACHINERY)


# Of a history row only its time and what it recorded say something to a reader.
_MACHINERY = frozenset({"pgh_id", "pgh_obj_id", "pgh_context_id"})
_HOLDINGS: dict[tuple[str, str], Holding] = {}


def register(*holdings: Holding) -> None:
    """Adds tables, at start-up, once each; they are erased in the order in which they were declared."""
    for holding in holdings:
        if (holding.table, holding.holder) in _HOLDINGS:
            raise ValueError(f"{holding.table}.{holding.holder} is declared already.")
        if not holding.why and (holding.fate is Fate.KEPT or not holding.section):
            raise ValueError(f"{holding.table} must say why it is kept, or why no export has it.")
        _HOLDINGS[(holding.table, holding.holder)] = holding


def of_model(model: type[models.Model], holder: str, **more: Any) -> Holding:
    """The line of a model's table."""
    return Holding(table=model._meta.db_table, holder=holder, model=model, **more)


def with_history(model: type[models.Model], holder: str, **more: Any) -> tuple[Holding, Holding]:
    """A model's table and the one of its earlier versions, which goes wherever the first one goes."""
    event = apps.get_model(model._meta.app_label, f"{model.__name__}Event")
    earlier = {**more, "section": f"{more['section']}_earlier_versions" if more.get("section") else ""}
    if parent := more.get("parent"):
        earlier["parent"] = parent
    return of_model(model, holder, **more), of_model(event, holder, **earlier)


def holdings() -> Iterable[Holding]:
    """All lines, in the order of registration."""
    return tuple(_HOLDINGS.values())
