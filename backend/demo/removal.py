"""Takes clinics out of the database with everybody and everything in them, history included."""

from collections.abc import Collection, Iterator
from typing import Any
from uuid import UUID

import pgtrigger
from django.apps import apps
from django.db import connection, models

from backend.accounts.models import Clinic, Membership, Person


def remove(clinics: list[UUID]) -> int:
    """Removes the clinics, their rows, and the persons who belong to no other clinic; returns how many persons.

    Runs inside the caller's transaction. The ledger of reminders checks its foreign keys at once, all other tables at
    commit. The triggers that write history and protect it are asleep meanwhile, since nothing of it may stay.
    """
    theirs = Membership.objects.filter(clinic_id__in=clinics).values("person_id")
    elsewhere = Membership.objects.exclude(clinic_id__in=clinics).values("person_id")
    found = Person.objects.filter(id__in=theirs).exclude(id__in=elsewhere)
    people = list(found.values_list("id", flat=True))
    with pgtrigger.ignore(), connection.cursor() as cursor:
        for model, field in _pointers(connection.introspection.table_names()):
            ids = people if field.related_model is Person else clinics
            cursor.execute(f"DELETE FROM {model._meta.db_table} WHERE {field.column} = ANY(%s)", [ids])  # noqa: S608
        for model, ids in ((Person, people), (Clinic, clinics)):
            cursor.execute(f"DELETE FROM {model._meta.db_table} WHERE id = ANY(%s)", [ids])  # noqa: S608
    return len(people)


def _pointers(tables: Collection[str]) -> Iterator[tuple[type[models.Model], models.ForeignKey[Any, Any]]]:
    """Every column that names a person or a clinic, in all tables, those of the history too.

    The last defined table comes first: within a room, what points comes after what it points to.
    """
    for model in reversed(list(apps.get_models())):
        if model._meta.db_table not in tables:  # some models are only a way to ask (pghistory's Events)
            continue
        for field in model._meta.concrete_fields:
            if isinstance(field, models.ForeignKey) and field.related_model in (Person, Clinic):
                yield model, field
