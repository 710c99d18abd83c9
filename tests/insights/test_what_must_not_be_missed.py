"""The panel never calls someone steady who is low, and tells a severe side effect at once."""

import uuid
from datetime import timedelta
from typing import Any

from backend.accounts import access
from backend.common import clock
from backend.insights import panel
from tests.cast import Cast
from tests.web.reading import browser


def _codes(cast: Cast) -> dict[uuid.UUID, list[str]]:
    with access.acting_as(cast.psychiatrist.id, cast.clinic.id, "test"):
        actor = access.actor_of(person=cast.psychiatrist, clinic_id=cast.clinic.id)
        rows = panel.rows(
            patients=access.patients_of(actor), clinic_id=cast.clinic.id, reader=cast.psychiatrist, now=clock.now()
        )
    return {row.patient: [reason.code for reason in row.standing.reasons] for row in rows}


def _check_in(cast: Cast, *, days_ago: int, mood: int, **more: Any) -> None:
    at = clock.now() - timedelta(days=days_ago, minutes=1)
    body = {"felt_at": at.isoformat(), "time_zone": "Asia/Kolkata", "mood": mood} | more
    assert cast.client(cast.patient).send("PUT", f"mood-check-ins/{uuid.uuid4()}", body).status_code == 201


def test_low_for_weeks_is_not_steady(cast: Cast) -> None:
    for days_ago in range(35):
        _check_in(cast, days_ago=days_ago, mood=2)
    assert _codes(cast)[cast.patient.id] == ["mood_low"]


def test_one_very_low_answer_is_told_before_there_is_anything_to_compare(cast: Cast) -> None:
    _check_in(cast, days_ago=0, mood=1, note="I do not want to be here.")
    assert _codes(cast)[cast.patient.id] == ["mood_low"]
    page_of = browser(cast.psychiatrist)
    page = page_of.get(f"/patients/{cast.patient.id}").content.decode()
    assert "I do not want to be here." in page, "what the patient wrote beside it stands on the page"
    assert browser(cast.outsider).get(f"/patients/{cast.patient.id}").status_code == 404


def test_a_severe_side_effect_stands_first(cast: Cast) -> None:
    for days_ago in range(3):
        _check_in(cast, days_ago=days_ago, mood=7)
    phone = cast.client(cast.patient)
    for kind, severity, expected in (("dizziness", 2, False), ("loss_of_consciousness", 1, True)):
        body = {"kind": kind, "severity": severity, "started_at": (clock.now() - timedelta(hours=1)).isoformat()}
        assert phone.send("PUT", f"side-effects/{uuid.uuid4()}", body).status_code == 201
        assert (_codes(cast)[cast.patient.id][0] == "severe_effect") is expected
    assert "severe_effect" not in _codes(cast)[cast.other_patient.id]
