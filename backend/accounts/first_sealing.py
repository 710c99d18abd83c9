"""Sealing what was stored plain, for the migrations of the rooms that hold notes; and the constraint that follows."""

import uuid
from typing import Any

import orjson
import pgtrigger
from django.apps.registry import Apps
from django.db import connection, migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from backend.accounts import access, counters, keys, notes
from backend.common import clock, sealing
from backend.common.sealing import Place

BATCH = 500


def seal_and_hold(table: str, *columns: str, patient: str = "patient_id", history: bool = True) -> list[Any]:
    """The operations of a migration (`atomic = False`): seal what is plain, in the history too, and allow nothing else.

    For a live table: batches of 500 rows, the constraint NOT VALID before the second pass (what an old process wrote in
    between), then validated without a lock that writers feel.
    """
    pairs = [(f"{table}{kept}", column) for kept in (("", "event") if history else ("",)) for column in columns]
    hold, check, release = [], [], []
    for held, column in pairs:
        name = f"{held.partition('_')[2]}_{column}_sealed"
        allowed = f"{column} = '' OR {column} LIKE '{sealing.SEALED}%'"
        release.append(f"ALTER TABLE {held} DROP CONSTRAINT IF EXISTS {name}")
        hold.append(f"ALTER TABLE {held} ADD CONSTRAINT {name} CHECK ({allowed}) NOT VALID")
        check.append(f"ALTER TABLE {held} VALIDATE CONSTRAINT {name}")

    def seal(_apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
        for held, column in pairs:
            seal_plain(held, column=column, origin=table, patient=patient)

    return [
        migrations.RunPython(seal, migrations.RunPython.noop),
        migrations.RunSQL(tuple(release + hold), tuple(release)),
        migrations.RunPython(seal, migrations.RunPython.noop),
        migrations.RunSQL(tuple(check), migrations.RunSQL.noop),
    ]


def seal_plain(table: str, *, column: str, origin: str, patient: str = "patient_id") -> int:
    """Seals what stands plain in a column; how many notes. As the owner, one transaction for each batch."""
    key, kind, after = ("id", "uuid", str(uuid.UUID(int=0))) if table == origin else ("pgh_id", "bigint", "0")
    sealed = 0
    while True:
        with access.maintaining("seal notes"), connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {key}, id, {patient}, {column} FROM {table} WHERE {key} > %s::{kind} "  # noqa: S608
                f"AND {column} <> '' AND {column} !~ %s ORDER BY {key} LIMIT %s",
                [after, f"^{sealing.FORM}$", BATCH],
            )
            if not (rows := cursor.fetchall()):
                return sealed
            after = str(rows[-1][0])
            data_keys = {who: _key(who) for who in sorted({row[2] for row in rows})}
            fresh = [
                {
                    "key": str(at),
                    "was": was,
                    "note": notes.seal(was, by=data_keys[who], place=Place(origin, id, column)),
                }
                for at, id, who, was in rows
            ]
            with pgtrigger.ignore():
                cursor.execute(
                    f"UPDATE {table} AS t SET {column} = u.note "  # noqa: S608
                    "FROM json_to_recordset(%s::json) AS u(key text, was text, note text) "
                    f"WHERE t.{key} = u.key::{kind} AND t.{column} = u.was",
                    [orjson.dumps(fresh).decode()],
                )
            sealed += len(rows)


def _key(patient_id: uuid.UUID) -> keys.Current:
    # As every writer does: the patient's counter before any row, so that nobody waits in a circle.
    counters.next_numbers(patient_id=patient_id, count=0)
    return keys.current(patient_id=patient_id, now=clock.now())
