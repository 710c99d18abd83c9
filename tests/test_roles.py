"""Every cell of role x object x verb, from the own clinic and from another, against the running code."""

import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings

from backend.accounts import access, people
from backend.accounts.caregivers import SHARES
from backend.accounts.models import Caregiver, Person, Role
from backend.accounts.reach import Reach
from backend.common import clock
from backend.config import matrix
from tests.cast import JOINED, Cast
from tests.objects import AUTHORED, BODIES, OBJECTS, WORDS

ROWS = list(matrix.rows())
# /api/v1/ itself: server time and versions; answers of notifications, whose token is the proof.
OPEN_TO_ALL = {"", "notification-answers"}


def test_the_table_in_the_docs_is_what_the_code_declares() -> None:
    assert (settings.ROOT / "docs" / "roles.md").read_text() == matrix.page(), "run `make roles`"


def test_every_address_has_a_row_and_what_is_needed_to_try_it() -> None:
    assert {row.name for row in ROWS} == set(OBJECTS)
    assert {path for path in matrix.others() if not path.startswith("auth/")} == OPEN_TO_ALL


def _everyone(cast: Cast) -> Iterator[tuple[str, Person, Person]]:
    """For each role: who holds it and has to do with the patient, and who holds it in the other clinic."""
    inside = {
        Role.PATIENT: cast.patient, Role.PSYCHIATRIST: cast.psychiatrist, Role.THERAPIST: cast.therapist,
        Role.NURSE: cast.nurse, Role.ADMINISTRATOR: cast.administrator, Role.AUDITOR: cast.auditor,
    }  # fmt: skip
    with access.maintaining("test"):
        people.put_on_care_team(
            clinic_id=cast.clinic.id, patient_id=cast.patient.id, member_id=cast.nurse.id, now=JOINED
        )
        inside[Role.CAREGIVER] = _member("caregiver", cast.clinic, Role.CAREGIVER)
        Caregiver.objects.create(
            clinic=cast.clinic, patient=cast.patient, person=inside[Role.CAREGIVER], shares=SHARES, since_at=clock.now()
        )
        outside = {role: _member(f"{role}_elsewhere", cast.elsewhere, role) for role in Role.values}
    for role in Role.values:
        yield role, inside[Role(role)], outside[role]


def _member(name: str, clinic: Any, role: str) -> Person:
    person = people.create(email=f"{name}@example.org", full_name=name, time_zone="Asia/Kolkata", now=JOINED)
    people.join(person=person, clinic=clinic, role=role, now=JOINED)
    return person


def _path(row: matrix.Row, made: dict[str, Any]) -> str:
    """The address, with what was made in the places that it names."""
    path = re.sub(r"<slug:(\w+)>", lambda place: WORDS[place[1]], row.path)
    return re.sub(r"<uuid:(\w+)>", lambda place: str(made[place[1]]), path)


def test_every_cell_holds_for_the_own_clinic_and_for_another(cast: Cast) -> None:
    people_of = list(_everyone(cast))
    wrong: list[str] = []
    tried = 0
    for row in ROWS:
        make = OBJECTS[row.name]
        kept = make(cast) if make else {}
        for role, insider, outsider in people_of:
            granted = role in row.grant
            # A fresh object for whom it is meant: an earlier cell may have ended the last.
            author = [insider] if row.name in AUTHORED else []
            target = make(cast, *author) if make and granted and row.verb != "GET" else kept
            answer = cast.client(insider).send(row.verb, _path(row, target), _body(row))
            tried += 1
            # One's own things are reached by all; the patient's are none of them for the others.
            if row.grant.get(role) == Reach.SELF and make and role != Role.PATIENT and answer.status_code == 404:
                continue
            if granted and answer.status_code in {401, 403, 404, 405} | set(range(500, 600)):
                wrong.append(f"{role} {row.verb} {row.path}: {answer.status_code} but is granted {answer.content!r}")
            if not granted and answer.status_code not in {403, 404}:
                wrong.append(f"{role} {row.verb} {row.path}: {answer.status_code} but is not granted")
            if not make:
                continue
            foreign = cast.client(outsider).send(row.verb, _path(row, kept), _body(row))
            tried += 1
            if foreign.status_code not in {403, 404} and not _checks_the_body_first(row, foreign.status_code):
                wrong.append(f"{role} of another clinic {row.verb} {row.path}: {foreign.status_code}")
    print(f"roles: {len(ROWS)} verbs of {len(OBJECTS)} addresses, {tried:,} cells tried, {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong)


def test_nobody_without_a_sign_in_passes_any_door(cast: Cast) -> None:
    for row in ROWS:
        make = OBJECTS[row.name]
        path = _path(row, make(cast) if make else {})
        answer = cast.client().send(row.verb, path, _body(row))
        assert answer.status_code == 401, (row.verb, path, answer.content)


def _body(row: matrix.Row) -> dict[str, Any] | None:
    if row.verb in {"GET", "DELETE"}:
        return None
    return BODIES.get(row.path.partition("/")[0], {}) if row.verb == "PUT" else {}


def _checks_the_body_first(row: matrix.Row, status: int) -> bool:
    """An empty body is refused before anything is looked up, to everybody alike: it tells nothing."""
    return status == 400 and row.verb in {"POST", "PUT", "PATCH"} and Reach.CLINIC not in row.grant.values()
