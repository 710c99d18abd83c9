"""A patient of whom there is something in every table, each value one that stands nowhere else."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connections

from backend.accounts import access, people
from backend.accounts.models import Device, Person
from backend.common import clock
from backend.interop import work
from backend.treatment.models import Session
from tests.cast import Cast

LOGS: dict[str, dict[str, Any]] = {
    "mood-check-ins": {"felt_at": "2026-10-01T08:00:00Z", "time_zone": "Asia/Kolkata", "mood": 3},
    "sleep-logs": {"night_of": "2026-10-02", "minutes_asleep": 400},
    "exercise-logs": {"started_at": "2026-10-02T07:00:00Z", "time_zone": "Asia/Kolkata", "kind": "walk", "minutes": 30},
    "nutrition-logs": {"day": "2026-10-02", "meals": 2},
    "substance-logs": {"day": "2026-10-02", "substance": "alcohol", "used": False},
    "side-effects": {"kind": "nausea", "severity": 2, "started_at": "2026-10-01T10:00:00Z"},
}


def word(person: Person, of: str) -> str:
    """A text that only this person's row of this kind has."""
    return f"={of} canary of {person.full_name.replace(' ', '-')}"


def lead(cast: Cast, patient: Person, *, doctor: Person, clinic_id: uuid.UUID) -> None:
    """Logs of each kind with an earlier version, a visit, two annotations, a session, a rule, a device, a move."""
    phone, desk = cast.client(patient), cast.client(doctor)
    for path, body in LOGS.items():
        made = phone.send("POST", path, body | {"note": word(patient, f"{path} first")})
        assert made.status_code == 201, made.content
        changed = phone.send(
            "PATCH", f"{path}/{made.json()['id']}", {"note": word(patient, f"{path} last")}, **{"If-Match": '"1"'}
        )
        assert changed.status_code == 200, changed.content
    start = (clock.now() + timedelta(days=3)).isoformat()
    visit = {"patient": str(patient.id), "kind": "therapy", "starts_at": start, "minutes": 50}
    made = desk.send("PUT", f"appointments/{uuid.uuid4()}", visit | {"note": word(patient, "visit")})
    assert made.status_code == 201, made.content
    for secret in (False, True):
        note = {"about": {"at": start}, "private": secret, "text": word(patient, "secret" if secret else "annotation")}
        annotated = desk.send("PUT", f"patients/{patient.id}/annotations/{uuid.uuid4()}", note)
        assert annotated.status_code == 201, annotated.content
    rule = {"title": word(patient, "rule"), "rrule": "FREQ=DAILY", "start": "2026-10-01T09:00:00"}
    assert phone.send("PUT", f"reminder-rules/{uuid.uuid4()}", rule).status_code == 201
    assert phone.send("PATCH", "me", {"time_zone": "Asia/Dubai"}).status_code == 200
    with access.maintaining("test"):
        Session.objects.create(
            clinic_id=clinic_id, patient=patient, planned_at=clock.now(), route="iv", dose_mg=40, change_number=900,
            received_at=clock.now(), updated_at=clock.now(),
        )  # fmt: skip
        Device.objects.create(
            person=patient, platform="android", push={"endpoint": word(patient, "push")}, app_version="1.2.3",
            seen_at=clock.now(),
        )  # fmt: skip


def ask(cast: Cast, person: Person, format: str = "json", about: str = "me") -> dict[str, Any]:
    """An export, asked for by its person."""
    asked = cast.client(person).send("POST", "exports", {"format": format, "about": about})
    assert asked.status_code == 202, asked.content
    result: dict[str, Any] = asked.json()
    return result


def made(cast: Cast, person: Person, format: str = "json", about: str = "me") -> dict[str, Any]:
    """An export, ready to be fetched."""
    id = ask(cast, person, format, about)["id"]
    work.round(now=clock.now())
    ready: dict[str, Any] = cast.client(person).send("GET", f"exports/{id}").json()
    assert ready["status"] == "ready", ready
    return ready


def fetched(cast: Cast, person: Person, link: str) -> bytes:
    """What the link gives."""
    answer = cast.client(person).send("GET", link)
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content)


def document(cast: Cast, person: Person, about: str = "me") -> dict[str, Any]:
    """The export as JSON says it."""
    return json.loads(fetched(cast, person, made(cast, person, "json", about)["link"]))


def as_owner(sql: str, values: Any = ()) -> list[tuple[Any, ...]]:
    """A statement of the owner's, who sees every row."""
    with access.maintaining("test"), connections["default"].cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else []


def everywhere(text: str) -> dict[str, int]:
    """In which tables a text (a regular expression) stands, and in how many rows."""
    tables = [row[0] for row in as_owner("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    found = {}
    for table in tables:
        (count,) = as_owner(f'SELECT count(*) FROM "{table}" t WHERE t::text ~ %s', [text])[0]
        if count:
            found[table] = count
    return found


# What stays of someone who was erased, and what a request for it writes: ids in records of what was done.
STAYS = {"interop_erasurerequest", "interop_legalhold", "pghistory_context"}


def held(person: Person) -> dict[str, int]:
    """In which tables the person is named by id, beside those that stay and the sign-ins, and in how many rows."""
    found = everywhere(str(person.id))
    return {t: n for t, n in found.items() if t not in STAYS | {"accounts_session"} and "audit" not in t}


def join_elsewhere(cast: Cast, person: Person) -> None:
    """The patient also goes to the other clinic."""
    with access.maintaining("test"):
        people.join(person=person, clinic=cast.elsewhere, role="patient", now=datetime(2026, 2, 1, tzinfo=UTC))
