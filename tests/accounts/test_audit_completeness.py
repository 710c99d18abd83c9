"""No address and no table is forgotten: each read leaves an event that names whom it showed, each table is watched."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.urls import URLPattern, get_resolver

from backend.accounts import access
from backend.accounts.models import Membership, Person
from backend.common import clock
from tests.accounts.trail import events
from tests.aftercare.test_logs import BODIES
from tests.cast import Cast
from tests.objects import WORDS, erasure_request, export

# Addresses that answer no content about anybody, or that are not read.
SILENT = {
    "about", "openapi_yaml", "openapi_json", "schema", "docs", "problems", None, "healthz", "readyz", "metrics",
    "account_login", "account_logout", "clinic", "passkey_sign_in", "account_reauthenticate", "sign_ins",
    "mfa_authenticate", "second_factor_set_up", "recovery_codes",
    "mail_link",  # says nothing but what its mail said, and opening it may change no row
}  # fmt: skip
NOT_READ = (
    "batch", "break-glass", "accept", "acknowledge", "snooze", "confirm", "ask-to-move", "cancel", "no-show", "agree",
    "withdraw", "lift", "file", "annotate", "notification-answers", "resend", "let-be",
)  # fmt: skip
READERS = ("patient", "other_patient", "psychiatrist", "therapist", "nurse", "administrator", "auditor", "outsider",
           "outside_patient")  # fmt: skip
# Tables that hold something of somebody and are not watched, and why.
UNWATCHED = {
    "accounts_auditevent": "the trail itself, which nobody changes",
    "accounts_auditsubject": "an index of the trail",
    "accounts_auditlink": "the trail itself, which nobody changes",
    "accounts_auditpending": "the trail itself; what is missing here shows as an event outside the chain",
    "accounts_session": "signing in and out is told as such",
    "accounts_patientcounter": "a number that follows from the records",
    "aftercare_patientstate": "follows from the records",
    "reminders_delivery": "follows from reminders; a claim and a sending show nobody anything",
}


def _addresses(resolver: Any, route: str = "") -> Iterator[tuple[str, str | None]]:
    for part in resolver.url_patterns:
        here = route + str(part.pattern)
        if isinstance(part, URLPattern):
            yield here, part.name
        else:
            yield from _addresses(part, here)


def _readable() -> list[str]:
    return [
        route
        for route, name in _addresses(get_resolver())
        if name not in SILENT
        and not route.startswith(("api/v1/auth/", "demo/"))
        and not route.rstrip("/").endswith(NOT_READ)
    ]


def _record(cast: Cast, patient: Person, clinician: Person) -> dict[str, str]:
    """Something of everything, for one patient: the id of each by its resource."""
    phone, desk = cast.client(patient), cast.client(clinician)
    ids = {kind: str(uuid.uuid4()) for kind in (*BODIES, "appointments", "reminder-rules")}
    for kind, body in BODIES.items():
        sent = {**body, "note": f"of {patient.id}"}
        assert phone.send("PUT", f"{kind}/{ids[kind]}", sent).status_code == 201
    at = (clock.now() + timedelta(days=3)).isoformat()
    body = {"patient": str(patient.id), "kind": "therapy", "starts_at": at, "minutes": 50, "note": f"of {patient.id}"}
    assert desk.send("PUT", f"appointments/{ids['appointments']}", body).status_code == 201
    rule = {"title": "Water", "rrule": "FREQ=DAILY", "start": "2026-01-01T09:00:00", "time_zone": "Asia/Kolkata"}
    answer = phone.send("PUT", f"reminder-rules/{ids['reminder-rules']}", rule)
    assert answer.status_code == 201, answer.content
    ids["reminders"] = phone.send("GET", "reminders").json()["results"][0]["id"]
    return ids


@pytest.mark.slow
def test_every_read_that_shows_a_patient_says_so(cast: Cast) -> None:
    with access.maintaining("names"):
        for person in Person.objects.all():
            Person.objects.filter(id=person.id).update(full_name=f"Name {person.id.hex[:12]}")
    records = {
        cast.patient: _record(cast, cast.patient, cast.psychiatrist),
        cast.other_patient: _record(cast, cast.other_patient, cast.psychiatrist),
        cast.outside_patient: _record(cast, cast.outside_patient, cast.outsider),
    }
    invited = {"email": "new@example.org", "full_name": "New", "role": "nurse"}
    invitation = cast.client(cast.administrator).send("POST", "invitations", invited).json()["id"]
    cast.client(cast.psychiatrist).send("GET", "patients")
    sent = {"email": "ravi@example.org", "full_name": "Ravi", "shares": ["mood"]}
    caregiver = cast.client(cast.patient).send("POST", "me/caregivers", sent).json()["id"]
    rights = {
        name: str(make(cast)["id"]) for name, make in (("exports", export), ("erasure-requests", erasure_request))
    }
    event = events(person_id=cast.psychiatrist.id)[-1].id
    marks = {
        patient: {f"Name {patient.id.hex[:12]}", f"of {patient.id}", *ids.values()} for patient, ids in records.items()
    }
    shown = asked = 0
    for name in READERS:
        reader = getattr(cast, name)
        client = cast.client(reader)
        client.cookies["sessionid"] = client.token  # the console's pages ask for the cookie
        for route in _readable():
            for patient, ids in records.items():
                own = {"invitations": invitation, "audit": str(event), "me": caregiver, **rights}
                path = _path(route, patient, ids, cast, own)
                request_id = str(uuid.uuid4())
                answer = client.get(f"/{path}", HTTP_X_REQUEST_ID=request_id)
                assert answer.status_code in {200, 403, 404}, (name, path, answer.status_code, answer.content[:300])
                asked += 1
                left = events(request_id=request_id)
                if answer.status_code != 200:
                    assert [e.action for e in left] == ["refused"], (name, path)
                    continue
                body = answer.content.decode()
                seen = {p.id for p, words in marks.items() if p != reader and any(word in body for word in words)}
                if path.removeprefix("api/v1/").startswith("audit"):
                    seen = set()  # it tells of events, by ids
                told = {id for e in left for id in e.patients}
                assert seen <= told, f"{name} saw a patient by {path} and the trail does not say so"
                assert len(left) == 1 or (not left and "patient" in name), (name, path, len(left))
                shown += len(seen)
    assert shown > 50
    print(f"audit: {asked} requests to {len(_readable())} addresses by {len(READERS)} people, {shown} showed a patient")


def _path(route: str, patient: Person, ids: dict[str, str], cast: Cast, own: dict[str, str]) -> str:
    """The address with the ids of this patient's record; a new resource must be named here."""
    resource = route.removeprefix("api/v1/").split("/")[0]
    if "members/" in route:
        with access.maintaining("look"):
            route = route.replace("<uuid:member>", str(Membership.objects.get(person=patient).id))
    known = {**ids, **own, "patients": str(patient.id), "clinics": str(cast.clinic.id)}
    path = route.replace("<uuid:member>", str(cast.psychiatrist.id))
    path = path.replace("<uuid:annotation>", str(uuid.uuid4()))  # one that nobody has
    if "<uuid:id>" in path:
        assert resource in known, f"say in this test which record {route} reads"
        path = path.replace("<uuid:id>", known[resource])
    for word, value in WORDS.items():
        path = path.replace(f"<slug:{word}>", value)
    assert "<" not in path, f"say in this test how {route} is read"
    listed = resource in BODIES or resource in {"reminders", "consents"}
    return f"{path}?patient={patient.id}" if listed and "<" not in route else path


@pytest.mark.usefixtures("database")
def test_every_table_with_something_of_somebody_is_watched() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT c.table_name FROM information_schema.columns c JOIN pg_tables t ON t.tablename = "
            "c.table_name AND t.schemaname = c.table_schema WHERE c.table_schema = 'public' "
            "AND c.column_name IN ('patient_id', 'person_id', 'clinic_id') AND c.table_name NOT LIKE '%event' "
            "UNION SELECT unnest(ARRAY['accounts_person', 'accounts_clinic', 'accounts_auditevent'])"
        )
        tables = {row[0] for row in cursor.fetchall()}
        cursor.execute(
            "SELECT tgrelid::regclass::text, count(*) FROM pg_trigger WHERE tgname ~ '^audit_(insert|update|delete|"
            "truncate)$' AND tgenabled = 'O' GROUP BY 1"
        )
        watched = dict(cursor.fetchall())
    assert {table for table in tables if watched.get(table) != 4} == tables & set(UNWATCHED), (
        "watch it in a migration (accounts/watching.py), or say here why not"
    )
    assert set(UNWATCHED) <= tables
