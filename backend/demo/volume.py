"""A clinic of any size for benchmarks: few lives of three years, told again by as many patients as are asked for.

Rows go in by COPY as the owner, in one transaction. Each patient of a life differs only in ids, so a line is made once
and used often; what the database does with it (constraints, foreign keys, all indexes) is the same as ever.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.db import connection, models

from backend.accounts import access, consents, keys, notes
from backend.accounts.consent_texts import BUILT_IN
from backend.accounts.models import (
    CareTeamMember,
    Clinic,
    ConsentRecord,
    Membership,
    PatientCounter,
    Person,
    Role,
    ZoneStay,
)
from backend.aftercare.models import MoodCheckIn, PatientState
from backend.common import clock
from backend.common.fields import NoteField
from backend.common.sealing import Place
from backend.demo import cast, curve, diary, life, removal, rows
from backend.demo.cast import House, Patient, id_of
from backend.demo.diary import AlreadyLoaded
from backend.treatment.models import SideEffect

HOUSE = House(
    key="load", name="Load clinic", short_name="Load clinic", country="IN", time_zone="Asia/Kolkata", phone=""
)
YEARS = timedelta(days=3 * 365)
A_DAY = 3.1  # on 97 % of days, so 3 in the mean
LIVES = 24
CARED_FOR = 500  # so many patients has the clinic's psychiatrist (GOALS.md, panel of 500)
PSYCHIATRIST = "load.psychiatrist"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Told:
    """One life as COPY sees it: for each kind the lines without id and patient, and when it was last heard of."""

    lines: dict[type[models.Model], list[str]]
    last_number: int
    heard_at: datetime
    felt_at: datetime
    mood: int


def load(*, check_ins: int, now: datetime, replace: bool = False, progress: Progress = lambda done, total: None) -> int:
    """Loads the load clinic with exactly `check_ins` check-ins and all that belongs to them; returns all rows.

    `progress` hears (rows done, rows in all). Raises AlreadyLoaded unless `replace`.
    """
    with access.maintaining("demo load"):
        if replace:
            removal.remove([id_of("clinic", HOUSE.key)])
        elif Clinic.objects.filter(id=id_of("clinic", HOUSE.key)).exists():
            raise AlreadyLoaded("The load clinic stands already; --replace loads it anew.")
        lives = _lives(check_ins, now)
        shares = list(_shares(check_ins, lives))
        _people(len(shares), now)
        total = _copy_all(lives, shares, now, progress)
        _states(lives, shares)
    diary.analyse()
    return total


def key_of(number: int) -> str:
    """The part before the @ of the load clinic's patient of that number, counted from 0."""
    return f"load.{number:06d}"


def _lives(check_ins: int, now: datetime) -> list[Told]:
    """As many different lives as are needed, at most LIVES."""
    found: list[Told] = []
    while len(found) < LIVES and sum(len(told.lines[MoodCheckIn]) for told in found) < check_ins:
        found.append(_told(len(found), now))
    return found


def _told(number: int, now: datetime) -> Told:
    course = [300 + 400 * n + offset for n in range(2) for offset in curve.INDUCTIONS[number % 3]]
    profile = life.Profile(
        time_zone=HOUSE.time_zone, low=2.5 + number % 3 / 2, gain=4.0, hold=30.0 + number, sessions=tuple(course),
        diligence=0.97, a_day=A_DAY, evening=time(21), offline=((400 + number, 404 + number),), active=0.5,
    )  # fmt: skip
    since = (now - YEARS).astimezone(clock.zone(HOUSE.time_zone)).date()
    lived = life.live(profile, since=since, now=now, seed=f"{cast.SEED}/{HOUSE.key}/{number}")
    patient = Patient(
        key=f"life{number}", name="", sex="", born_on=since, country="", house=HOUSE.key, profile=profile, team=()
    )
    lines: dict[type[models.Model], list[str]] = {model: [] for model in diary.COLUMNS}
    last_number, heard = 0, now - YEARS
    for last_number, (model, values) in enumerate(diary.in_order_of_arrival(patient, lived), start=1):
        told = values[2 : len(diary.COLUMNS[model]) + 2 - (model is SideEffect)]  # without its session
        lines[model].append(_line(model, (last_number, values[1], values[1], *told)))
        heard = max(heard, values[1])
    last = lived.check_ins[-1]
    return Told(lines, last_number, heard, last.felt_at, last.mood)


def _line(model: type[models.Model], values: Sequence[Any]) -> str:
    """The values of diary.ENTRY after the patient, those of the kind, and the model's defaults, as COPY's text."""
    given, rest = _fields(model)
    texts = [_text(field, value) for field, value in zip(given, values, strict=True)]
    texts += [_text(field, field.get_default()) for field in rest]
    return "\t".join(texts)


def _text(field: "models.Field[Any, Any]", value: Any) -> str:
    if isinstance(field, NoteField) and value:
        return f"{_NOTE}{field.column}{_NOTE}{value}{_NOTE}"  # sealed later, for each patient by itself
    text = rows.as_text(field, value)
    return "\\N" if text is None else text.translate(_ESCAPES)


def _sealed(line: str, *, table: str, id: str, by: keys.Current) -> str:
    """The line with its note sealed, as COPY's text; base64 has nothing to escape."""
    before, column, note, after = line.split(_NOTE)
    return f"{before}{notes.seal(note, by=by, place=Place(table, UUID(id), column))}{after}"


_NOTE = "\x01"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@cache
def _fields(model: type[models.Model]) -> tuple[list[Any], list[Any]]:
    names = [name for name in (*diary.ENTRY[2:], *diary.COLUMNS[model]) if name != "session_id"]
    given = [rows.field_of(model, name) for name in names]
    known = {"id", "patient_id", *(field.attname for field in given)}
    return given, [field for field in model._meta.concrete_fields if field.attname not in known]


def _shares(check_ins: int, lives: Sequence[Told]) -> Iterator[tuple[int, int]]:
    """(life, how many of its check-ins) for each patient, until all are told."""
    number = 0
    while check_ins > 0:
        told = number % len(lives)
        share = min(check_ins, len(lives[told].lines[MoodCheckIn]))
        yield told, share
        check_ins -= share
        number += 1


def _copy_all(lives: Sequence[Told], shares: Sequence[tuple[int, int]], now: datetime, progress: Progress) -> int:
    def rows_of(model: type[models.Model], told: int, share: int) -> list[str]:
        lines = lives[told].lines[model]
        return lines[-share:] if model is MoodCheckIn else lines

    people = [id_of("person", key_of(number)) for number in range(len(shares))]
    data_keys = keys.make_many(patient_ids=people, now=now)
    total = sum(len(rows_of(model, *share)) for model in diary.COLUMNS for share in shares)
    done = 0
    progress(done, total)
    with connection.cursor() as cursor:
        # Foreign keys are checked with each patient instead of all at the end, which would keep millions in memory.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        # COPY knows no row-level security and refuses; the owner steps out of it for this transaction alone.
        for model in diary.COLUMNS:
            cursor.execute(f"ALTER TABLE {model._meta.db_table} NO FORCE ROW LEVEL SECURITY")
        for number, share in enumerate(shares):
            person = id_of("person", key_of(number))
            key = data_keys[person]
            for model in diary.COLUMNS:
                if not (lines := rows_of(model, *share)):
                    continue
                start = str(id_of(model._meta.model_name, number))[:24]
                columns = ", ".join(field.column for part in _fields(model) for field in part)
                sql = f"COPY {model._meta.db_table} (id, {columns}, patient_id) FROM STDIN"
                # Ids count on from the patient's own start: distinct, the same at each load, and made without hashing.
                ids = [f"{start}{n:012x}" for n in range(len(lines))]
                table = model._meta.db_table
                lines = [
                    _sealed(line, table=table, id=id, by=key) if _NOTE in line else line
                    for id, line in zip(ids, lines, strict=True)
                ]
                text = "".join(f"{id}\t{line}\t{person}\n" for id, line in zip(ids, lines, strict=True))
                with cursor.copy(sql) as copy:
                    copy.write(text)
                done += len(lines)
                progress(done, total)
        for model in diary.COLUMNS:
            cursor.execute(f"ALTER TABLE {model._meta.db_table} FORCE ROW LEVEL SECURITY")
    return total


def _people(count: int, now: datetime) -> None:
    since, clinic = now - YEARS, id_of("clinic", HOUSE.key)
    rows.insert(
        Clinic,
        ("id", "name", "short_name", "country", "time_zone", "created_at"),
        [(clinic, HOUSE.name, HOUSE.short_name, HOUSE.country, HOUSE.time_zone, since)],
    )
    password = make_password(cast.PASSWORD)
    keys = [PSYCHIATRIST, *map(key_of, range(count))]
    ids = [id_of("person", key) for key in keys]
    rows.insert(
        Person,
        ("id", "email", "full_name", "time_zone", "country", "password", "created_at"),
        [
            (new, cast.email_of(key), f"Load {n:06d}", HOUSE.time_zone, HOUSE.country, password, since)
            for n, (new, key) in enumerate(zip(ids, keys, strict=True))
        ],
    )
    rows.insert(ZoneStay, ("person_id", "time_zone", "since_at"), [(p, HOUSE.time_zone, since) for p in ids])
    ConsentRecord.objects.bulk_create(
        (
            consents.first_agreement(patient_id=patient, clinic_id=clinic, words=words, now=since)
            for patient in ids[1:]
            for words in BUILT_IN
        ),
        batch_size=rows.BATCH,
    )
    rows.insert(
        Membership,
        ("id", "person_id", "clinic_id", "role", "since_at"),
        [
            (id_of("role", p), p, clinic, (Role.PATIENT if n else Role.PSYCHIATRIST).value, since)
            for n, p in enumerate(ids)
        ],
    )
    rows.insert(
        CareTeamMember,
        ("id", "clinic_id", "patient_id", "member_id", "since_at"),
        [(id_of("care", p), clinic, p, ids[0], since) for p in ids[1 : CARED_FOR + 1]],
    )


def _states(lives: Sequence[Told], shares: Sequence[tuple[int, int]]) -> None:
    people = [(id_of("person", key_of(n)), lives[told]) for n, (told, _) in enumerate(shares)]
    rows.insert(PatientCounter, ("patient_id", "value"), [(p, t.last_number) for p, t in people])
    rows.insert(
        PatientState,
        ("patient_id", "last_entry_at", "last_felt_at", "last_mood"),
        [(p, t.heard_at, t.felt_at, t.mood) for p, t in people],
    )
