"""For each address of the API that names a record: one of the cast's patient, made new each time."""

import uuid
from collections.abc import Callable
from typing import Any

from backend.accounts import access, people
from backend.accounts.models import Person, Role
from tests.cast import JOINED, Cast

Made = dict[str, Any]
BODIES: dict[str, Made] = {
    "mood-check-ins": {"felt_at": "2026-11-20T08:00:00+05:30", "time_zone": "Asia/Kolkata", "mood": 6},
    "sleep-logs": {"night_of": "2026-11-20", "minutes_asleep": 420, "quality": 6},
    "exercise-logs": {
        "started_at": "2026-11-20T18:00:00+05:30", "time_zone": "Asia/Kolkata", "kind": "walking", "minutes": 30,
        "intensity": "light",
    },
    "nutrition-logs": {"day": "2026-11-20", "meals": 3},
    "substance-logs": {"day": "2026-11-20", "substance": "alcohol", "used": False},
    "side-effects": {"kind": "nausea", "severity": 1, "started_at": "2026-11-20T12:00:00+05:30"},
}  # fmt: skip


def _sent(cast: Cast, person: Any, verb: str, path: str, body: Made) -> Made:
    answer = cast.client(person).send(verb, path, body)
    assert answer.status_code in {200, 201, 202}, (path, answer.content)
    return dict(answer.json())


def _log(kind: str) -> Callable[[Cast], Made]:
    def made(cast: Cast) -> Made:
        id = uuid.uuid4()
        _sent(cast, cast.patient, "PUT", f"{kind}/{id}", BODIES[kind])
        return {"id": id}

    return made


def appointment(cast: Cast) -> Made:
    """A visit next year, with one occurrence."""
    id = uuid.uuid4()
    body = {
        "patient": str(cast.patient.id), "kind": "therapy", "starts_at": "2027-03-01T10:00:00+05:30", "minutes": 50,
    }  # fmt: skip
    made = _sent(cast, cast.psychiatrist, "PUT", f"appointments/{id}", body)
    return {"id": id, "occurrence": next(iter(made["occurrences"]), {"id": uuid.uuid4()})["id"]}


def reminder_rule(cast: Cast) -> Made:
    """A daily reminder of the patient's own."""
    id = uuid.uuid4()
    body = {"title": "Walk", "rrule": "FREQ=DAILY", "start": "2026-11-20T21:00:00", "time_zone": "Asia/Kolkata"}
    _sent(cast, cast.patient, "PUT", f"reminder-rules/{id}", body)
    return {"id": id}


def reminder(cast: Cast) -> Made:
    """The next reminder of such a rule."""
    reminder_rule(cast)
    return {"id": cast.client(cast.patient).send("GET", "reminders").json()["results"][0]["id"]}


def invitation(cast: Cast) -> Made:
    """An open invitation of a nurse."""
    body = {"email": f"{uuid.uuid4()}@example.org", "full_name": "New Nurse", "role": "nurse"}
    return {"id": _sent(cast, cast.administrator, "POST", "invitations", body)["id"]}


def caregiver(cast: Cast) -> Made:
    """An open invitation of a caregiver."""
    body = {"email": f"{uuid.uuid4()}@example.org", "full_name": "Meera Rao", "shares": ["mood"]}
    return {"id": _sent(cast, cast.patient, "POST", "me/caregivers", body)["id"]}


def device(cast: Cast) -> Made:
    """A phone of the patient's."""
    id = uuid.uuid4()
    _sent(cast, cast.patient, "PUT", f"me/devices/{id}", {"platform": "ios"})
    return {"id": id}


def sign_in(cast: Cast) -> Made:
    """A sign-in of the patient's."""
    listed = cast.client(cast.patient).send("GET", "me/sessions").json()["results"]
    return {"id": next(one["id"] for one in listed if one["current"])}


def care_team_member(cast: Cast) -> Made:
    """A new colleague on the patient's team."""
    with access.maintaining("test"):
        name = f"{uuid.uuid4()}"
        member = people.create(email=f"{name}@example.org", full_name=name, time_zone="Asia/Kolkata", now=JOINED)
        people.join(person=member, clinic=cast.clinic, role=Role.THERAPIST, now=JOINED)
        people.put_on_care_team(clinic_id=cast.clinic.id, patient_id=cast.patient.id, member_id=member.id, now=JOINED)
    return {"id": cast.patient.id, "member": member.id}


def member(cast: Cast) -> Made:
    """A new nurse's membership."""
    with access.maintaining("test"):
        name = f"{uuid.uuid4()}"
        person = people.create(email=f"{name}@example.org", full_name=name, time_zone="Asia/Kolkata", now=JOINED)
        return {
            "id": cast.clinic.id,
            "member": people.join(person=person, clinic=cast.clinic, role=Role.NURSE, now=JOINED).id,
        }


def export(cast: Cast) -> Made:
    """An export that the patient asked for."""
    return {"id": _sent(cast, cast.patient, "POST", "exports", {})["id"]}


def erasure_request(cast: Cast) -> Made:
    """The patient's wish to be erased, not confirmed."""
    return {"id": _sent(cast, cast.patient, "POST", "erasure-requests", {})["id"]}


def legal_hold(cast: Cast) -> Made:
    """A hold on the patient's record."""
    body = {"patient": str(cast.patient.id), "reason": "Court order"}
    return {"id": _sent(cast, cast.administrator, "POST", "legal-holds", body)["id"]}


def annotation(cast: Cast, author: Person | None = None) -> Made:
    """An annotation by the psychiatrist, or by whoever may write one."""
    id = uuid.uuid4()
    path = f"patients/{cast.patient.id}/annotations/{id}"
    body = {"about": {"at": "2026-11-20T08:00:00+05:30"}, "text": "Dose halved."}
    _sent(cast, author or cast.psychiatrist, "PUT", path, body)
    return {"id": cast.patient.id, "annotation": id}


def the_patient(cast: Cast) -> Made:
    """The patient."""
    return {"id": cast.patient.id}


# Words in an address that name no record: whoever asks is answered about the own account or clinic.
WORDS = {"purpose": "messages_email", "kind": "sleep_logs"}


def audit_event(cast: Cast) -> Made:
    """A look at the patient's record."""
    cast.client(cast.psychiatrist).send("GET", f"patients/{cast.patient.id}")
    return {"id": cast.client(cast.patient).send("GET", "audit?limit=1").json()["results"][0]["id"]}


# By the name of the address. An address without an id needs no object: None.
OBJECTS: dict[str, Callable[..., Made] | None] = {
    **{f"{kind}-detail": _log(kind) for kind in BODIES},
    **{f"{kind}-list": None for kind in BODIES},
    **{f"{kind}-batch": None for kind in BODIES},
    **{f"appointment-{word}": appointment for word in ("ask-to-move", "cancel", "confirm", "no-show")},
    **{f"occurrence-{word}": appointment for word in ("ask-to-move", "cancel", "confirm", "no-show")},
    **{f"reminder-{word}": reminder for word in ("acknowledge", "cancel", "explain", "let-be", "resend", "snooze")},
    "annotation": annotation,
    "annotations": the_patient,
    "appointment": appointment,
    "appointments": None,
    "audit": None,
    "audit-event": audit_event,
    "break-glass": lambda cast: {"id": cast.unassigned_patient.id},
    "care-team": the_patient,
    "care-team-member": care_team_member,
    "caregiver": caregiver,
    "caregivers": None,
    "consent-agree": None,
    "consent-documents": None,
    "consent-withdraw": None,
    "consents": None,
    "erasure-request": erasure_request,
    "erasure-request-cancel": erasure_request,
    "erasure-request-confirm": erasure_request,
    "erasure-requests": None,
    "export": export,
    "export-file": export,
    "exports": None,
    "legal-hold-lift": legal_hold,
    "legal-holds": None,
    "my-jobs": None,
    "retention-rule": None,
    "retention-rules": None,
    "rights-settings": None,
    "clinic": lambda cast: {"id": cast.clinic.id},
    "invitation": invitation,
    "invitation-acceptance": None,
    "invitations": None,
    "member": member,
    "members": lambda cast: {"id": cast.clinic.id},
    "me": None,
    "my-device": device,
    "my-devices": None,
    "my-phone": None,
    "my-phone-confirm": None,
    "my-sign-in": sign_in,
    "my-sign-ins": None,
    "own-reminder-plan": None,
    "own-trend": None,
    "patient": the_patient,
    "patient-reminder-plan": the_patient,
    "patient-trend": the_patient,
    "patient-trend-picture": the_patient,
    "patients": None,
    "reminder": reminder,
    "reminder-rule": reminder_rule,
    "reminder-rules": None,
    "reminders": None,
    "timeline": the_patient,
}
# What only its author changes: made anew by each who may change their own.
AUTHORED = {"annotation"}
