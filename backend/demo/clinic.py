"""Loads the demo: two clinics, their people, and six months of each patient's life, in one transaction."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import models

from backend.accounts import access, consents, keys
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
from backend.aftercare.models import PatientState
from backend.common import clock
from backend.demo import agenda, cast, diary, life, removal, rows
from backend.demo.cast import HOUSES, WORKERS, Patient, id_of
from backend.demo.diary import AlreadyLoaded

HISTORY = timedelta(days=cast.DAYS)


def is_loaded() -> bool:
    """Whether the demo stands in the database."""
    return bool({id_of("clinic", house.key) for house in HOUSES} & set(access.clinics()))


def load(*, now: datetime, replace: bool = False) -> dict[str, int]:
    """Loads the demo as of `now` and returns how many rows of each kind were written.

    Raises AlreadyLoaded unless `replace`, which removes the earlier demo with all that was added to it. A load that
    breaks leaves nothing behind, and keeps the earlier demo.
    """
    with access.maintaining("demo load"):
        if replace:
            removal.remove([id_of("clinic", house.key) for house in HOUSES])
        elif Clinic.objects.filter(id=id_of("clinic", HOUSES[0].key)).exists():
            raise AlreadyLoaded("The demo clinic is loaded already; --replace loads it anew and drops what was added.")
        since = now - HISTORY
        patients = cast.patients(today=now.astimezone(clock.zone("Asia/Kolkata")).date())
        counts = {"clinics": _clinics(since), "persons": _persons(patients, since)}
        _care_teams(patients, since)
        _consents(patients, since)
        counts |= _lives(patients, now)
        counts |= agenda.put(patients=patients, now=now)
    diary.analyse()
    return counts


def _clinics(since: datetime) -> int:
    return rows.insert(
        Clinic,
        ("id", "name", "short_name", "country", "time_zone", "phone", "created_at"),
        [(id_of("clinic", h.key), h.name, h.short_name, h.country, h.time_zone, h.phone, since) for h in HOUSES],
    )


def _persons(patients: Sequence[Patient], since: datetime) -> int:
    houses = {house.key: house for house in HOUSES}
    password = make_password(cast.PASSWORD)
    people = [
        (id_of("person", w.key), cast.email_of(w.key), w.name, houses[w.house].time_zone, houses[w.house].country, None,
         "undisclosed", None, None, password, since, ["email"])
        for w in WORKERS
    ] + [
        (id_of("person", p.key), cast.email_of(p.key), p.name, p.profile.time_zone, p.country, p.born_on, p.sex,
         *_quiet_hours(p), password, since, ["email"])
        for p in patients
    ]  # fmt: skip
    count = rows.insert(
        Person,
        ("id", "email", "full_name", "time_zone", "country", "born_on", "sex_at_birth", "quiet_from", "quiet_until",
         "password", "created_at", "channels"),
        people,
    )  # fmt: skip
    rows.insert(ZoneStay, ("person_id", "time_zone", "since_at"), [(row[0], row[3], since) for row in people])
    roles = [(w.key, w.house, w.role) for w in WORKERS] + [(p.key, p.house, Role.PATIENT.value) for p in patients]
    rows.insert(
        Membership,
        ("id", "person_id", "clinic_id", "role", "since_at"),
        [(id_of("role", k, h, r), id_of("person", k), id_of("clinic", h), r, since) for k, h, r in roles],
    )
    return count


def _quiet_hours(patient: Patient) -> tuple[time | None, time | None]:
    """Every second patient sleeps undisturbed; those who are reminded right after the load have none."""
    quiet = not patient.says_nothing_today and patient.born_on.toordinal() % 2
    return (time(22, 30), time(7, 0)) if quiet else (None, None)


def _care_teams(patients: Sequence[Patient], since: datetime) -> None:
    rows.insert(
        CareTeamMember,
        ("id", "clinic_id", "patient_id", "member_id", "since_at"),
        [
            (id_of("care", p.key, key), id_of("clinic", p.house), id_of("person", p.key), id_of("person", key), since)
            for p in patients
            for key in p.team
        ],
    )


def _consents(patients: Sequence[Patient], since: datetime) -> None:
    """All of them agreed to all that they were asked when they came."""
    ConsentRecord.objects.bulk_create(
        consents.first_agreement(
            patient_id=id_of("person", p.key), clinic_id=id_of("clinic", p.house), words=words, now=since
        )
        for p in patients
        for words in BUILT_IN
    )


def _lives(patients: Sequence[Patient], now: datetime) -> dict[str, int]:
    by_model: dict[type[models.Model], list[Sequence[Any]]] = {model: [] for model in diary.COLUMNS}
    counters, states = [], []
    data_keys = keys.make_many(patient_ids=[id_of("person", patient.key) for patient in patients], now=now)
    for patient in patients:
        person = id_of("person", patient.key)
        today = now.astimezone(clock.zone(patient.profile.time_zone)).date()
        since = today - timedelta(days=cast.TODAY)
        told = life.live(patient.profile, since=since, now=now, seed=f"{cast.SEED}/{patient.key}")
        number, heard = 0, None
        for number, (model, values) in enumerate(diary.in_order_of_arrival(patient, told), start=1):
            # Sessions are written by the clinic; everything else arrived from the patient's phone.
            heard = values[1] if model in diary.LOGS else heard
            row = (values[0], person, number, values[1], values[1], *values[2:])
            by_model[model].append(diary.sealed(model, row, by=data_keys[person]))
        counters.append((person, number))
        last = told.check_ins[-1] if told.check_ins else None
        states.append((person, heard, last and last.felt_at, last and last.mood))
    counts = {}
    for model, names in diary.COLUMNS.items():
        # Side effects point at sessions, whose foreign key is checked at commit.
        counts[model._meta.model_name or ""] = rows.insert(model, (*diary.ENTRY, *names), by_model[model])
    rows.insert(PatientCounter, ("patient_id", "value"), counters)
    rows.insert(PatientState, ("patient_id", "last_entry_at", "last_felt_at", "last_mood"), states)
    return counts
