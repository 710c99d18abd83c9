"""Many rows at once: one INSERT … SELECT unnest(…) per few thousand, with the model's defaults for the rest."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from itertools import islice
from typing import Any

import orjson
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models

BATCH = 5_000  # rows in one statement


def insert(model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Inserts `rows`, whose values stand in the order of `names` (attribute names, `patient_id` for a foreign key).

    Values travel as text and are cast to the column's type, so lists, JSON and nulls need no care. Returns how many.
    """
    fields = [field_of(model, name) for name in names]
    given = {field.attname for field in fields}
    rest = [field for field in model._meta.concrete_fields if field.attname not in given and not _by_database(field)]
    columns = [str(field.column) for field in (*fields, *rest)]
    picked = [
        *(f"u.c{i}::{field.rel_db_type(connection)}" for i, field in enumerate(fields)),
        *(f"%s::{field.rel_db_type(connection)}" for field in rest),
    ]
    sql = (
        f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) SELECT {', '.join(picked)} "  # noqa: S608
        f"FROM unnest({', '.join(['%s::text[]'] * len(fields))}) AS u({', '.join(f'c{i}' for i in range(len(fields)))})"
    )
    defaults = [as_text(field, field.get_default()) for field in rest]
    total = 0
    with connection.cursor() as cursor:
        source = iter(rows)
        while some := list(islice(source, BATCH)):
            columns_of_values = [
                [as_text(field, value) for value in column]
                for field, column in zip(fields, zip(*some, strict=True), strict=True)
            ]
            cursor.execute(sql, [*defaults, *columns_of_values])
            total += len(some)
    return total


def field_of(model: type[models.Model], name: str) -> "models.Field[Any, Any]":
    """The column of the model by its attribute's name, `patient_id` for a foreign key."""
    return next(field for field in model._meta.concrete_fields if name in (field.attname, field.name))


def _by_database(field: "models.Field[Any, Any]") -> bool:
    """Whether the database itself numbers this column."""
    return isinstance(field, models.AutoField)


def as_text(field: "models.Field[Any, Any]", value: Any) -> str | None:
    """A value as PostgreSQL reads it from text."""
    if value is None:
        return None
    if isinstance(field, ArrayField):
        return "{" + ",".join('"' + str(item).replace("\\", "\\\\").replace('"', '\\"') + '"' for item in value) + "}"
    if isinstance(field, models.JSONField):
        return orjson.dumps(value).decode()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value)
