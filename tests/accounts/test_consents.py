"""What needs an agreement stops without it; each agreement and withdrawal is kept, and new words ask again."""

import hashlib
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import InternalError, connection, connections
from django.db.utils import DatabaseError

from backend.accounts import access, consents
from backend.accounts.consent_texts import BUILT_IN, STOPS, Purpose, for_channel
from backend.accounts.models import ConsentRecord, OutboxMail
from backend.common import clock
from backend.reminders import channels, dispatch
from tests.cast import PASSWORD, Cast, Client
from tests.reminders.engine import check_in_rule, ledger, statuses

CARE = "consents/care"
MAIL = "consents/messages_email"


def entry() -> dict[str, Any]:
    """A check-in of now."""
    return {"id": str(uuid4()), "felt_at": clock.now().isoformat(), "time_zone": "Asia/Kolkata", "mood": 5}


def one(cast: Cast, purpose: str, **headers: str) -> dict[str, Any]:
    """What the patient is asked about a purpose."""
    listed = cast.client(cast.patient).send("GET", "consents", **headers).json()["results"]
    return next(item for item in listed if item["purpose"] == purpose)


def tonight(cast: Cast) -> datetime:
    """A daily check-in, planned now; when it is due next."""
    now = clock.now()
    check_in_rule(
        cast.patient,
        now=now,
        start=(now - timedelta(days=1)).replace(hour=21, minute=0, second=0, microsecond=0, tzinfo=None),
    )
    return ledger(cast.patient, status="planned")[0].due_at


def publish(cast: Cast, purpose: str, **more: Any) -> Any:
    """New words of the clinic."""
    texts = [{"language": "en", "title": "New words", "text": "We ask anew."}]
    body = {"purpose": purpose, "texts": texts} | more
    return cast.client(cast.administrator).send("POST", "consent-documents", body)


def test_every_purpose_says_what_it_stops_and_has_words() -> None:
    assert set(STOPS) == set(Purpose) == {words.purpose for words in BUILT_IN}


def test_the_decision_note_has_the_table_that_the_code_goes_by() -> None:
    note = (Path(__file__).resolve().parents[2] / "docs/decisions/016-rights.md").read_text()
    told = dict(re.findall(r"^\| `([a-z_]+)` \| (.+) \|$", note, re.MULTILINE))
    assert told == {purpose.value: stops for purpose, stops in STOPS.items()}


def test_every_channel_has_a_document() -> None:
    assert all(for_channel(name) in Purpose for name in channels.OUTWARD)


def test_words_that_were_published_are_never_edited() -> None:
    known = {
        ("care", 1, "en"): "c47fd46c23b29c44",
        ("messages_email", 1, "en"): "c575fcda5366058d",
        ("messages_push", 1, "en"): "ece2c70b52acd26c",
        ("messages_sms", 1, "en"): "5fa32973a741b3ed",
    }
    told = {(w.purpose.value, w.version, w.language): consents.digest(w)[:16] for w in BUILT_IN}
    assert {key: told.get(key) for key in known} == known, "publish a new version instead"


def test_the_patient_sees_what_is_asked_and_what_was_agreed_to(cast: Cast) -> None:
    care = one(cast, "care")
    assert (care["status"], care["holds"], care["version"], care["of_clinic"]) == ("agreed", True, 1, False)
    assert "care team" in care["text"]
    assert "stored" in care["stops"]
    (act,) = care["history"]
    told = hashlib.sha256(f"{care['title']}\n\n{care['text']}".encode()).hexdigest()
    assert (act["act"], act["version"], act["text_sha256"]) == ("agreed", 1, told)


def test_without_the_agreement_nothing_new_is_stored_and_what_is_there_stays(cast: Cast) -> None:
    patient, doctor = cast.client(cast.patient), cast.client(cast.psychiatrist)
    kept = entry()
    assert patient.send("PUT", f"mood-check-ins/{kept['id']}", kept).status_code == 201
    withdrawn = patient.send("POST", f"{CARE}/withdraw")
    assert (withdrawn.status_code, withdrawn.json()["status"], withdrawn.json()["holds"]) == (200, "withdrawn", False)
    assert patient.send("POST", f"{CARE}/withdraw").json() == withdrawn.json()
    new = entry()
    for refused in (
        patient.send("PUT", f"mood-check-ins/{new['id']}", new),
        patient.send("POST", "mood-check-ins", new),
        patient.send("POST", "mood-check-ins/batch", {"records": [new]}),
        patient.send("PATCH", f"mood-check-ins/{kept['id']}", {"mood": 1}, **{"If-Match": '"1"'}),
        patient.send("POST", "side-effects/batch", {"records": []}),
    ):
        assert refused.status_code == 403, refused.content
        assert (refused.json()["code"], refused.json()["purpose"]) == ("consent_required", "care")
        assert "consents/care/agree" in refused.json()["detail"]
    assert [row["id"] for row in patient.send("GET", "mood-check-ins").json()["results"]] == [kept["id"]]
    seen = doctor.send("GET", f"mood-check-ins?patient={cast.patient.id}").json()["results"]
    assert [row["id"] for row in seen] == [kept["id"]]
    assert patient.send("DELETE", f"mood-check-ins/{kept['id']}").status_code == 204
    agreed = patient.send("POST", f"{CARE}/agree", {"version": 1})
    assert (agreed.status_code, agreed.json()["status"]) == (200, "agreed")
    assert patient.send("POST", f"{CARE}/agree", {"version": 1}).json() == agreed.json()
    assert patient.send("PUT", f"mood-check-ins/{new['id']}", new).status_code == 201
    assert [act["act"] for act in one(cast, "care")["history"]] == ["agreed", "withdrawn", "agreed"]


def test_without_the_agreement_no_mail_leaves_and_the_inbox_has_the_reminder(cast: Cast, post: Any) -> None:
    due = tonight(cast)
    patient = cast.client(cast.patient)
    assert patient.send("POST", f"{MAIL}/withdraw").status_code == 200
    dispatch.tick(now=due)
    dispatch.deliver(now=due)
    assert post.mails == []
    assert [row.status for row in ledger(cast.patient, due_at=due)] == ["sent"]
    assert statuses(cast.patient) == [("inbox", "sent")]
    assert patient.send("GET", "me").json()["channels"] == ["email"], "the wish stays"
    assert patient.send("POST", f"{MAIL}/agree", {"version": 1}).status_code == 200
    dispatch.tick(now=due + timedelta(days=1))
    dispatch.deliver(now=due + timedelta(days=1))
    assert len(post.mails) == 1


def test_a_mail_that_was_claimed_before_the_withdrawal_stays_here(cast: Cast, post: Any) -> None:
    due = tonight(cast)
    dispatch.tick(now=due)
    assert ("email", "pending") in statuses(cast.patient)
    assert cast.client(cast.patient).send("POST", f"{MAIL}/withdraw").status_code == 200
    dispatch.deliver(now=due)
    assert post.mails == []
    assert ("email", "failed") in statuses(cast.patient)


def test_new_words_ask_again_and_the_old_agreement_holds_until_they_bind(cast: Cast) -> None:
    assert publish(cast, "care", binding_at=(clock.now() + timedelta(days=14)).isoformat()).status_code == 201
    care = one(cast, "care")
    assert (care["status"], care["holds"], care["version"], care["of_clinic"]) == ("asked_again", True, 2, True)
    patient = cast.client(cast.patient)
    assert patient.send("POST", "mood-check-ins", entry()).status_code == 201
    with access.acting_as(cast.patient.id, cast.clinic.id, "test"):
        assert not consents.stands(
            patient_id=cast.patient.id,
            clinic_id=cast.clinic.id,
            purpose=Purpose.CARE,
            now=clock.now() + timedelta(days=15),
        )
    late = patient.send("POST", f"{CARE}/agree", {"version": 1})
    assert (late.status_code, late.json()["code"]) == (409, "version_changed")
    assert patient.send("POST", f"{CARE}/agree", {"version": 2}).json()["status"] == "agreed"
    assert cast.client(cast.outside_patient).send("POST", f"{CARE}/agree", {"version": 1}).status_code == 200


def test_new_words_that_bind_at_once_stop_what_needs_them_until_they_are_agreed_to(cast: Cast, post: Any) -> None:
    due = tonight(cast)
    assert publish(cast, "care").status_code == publish(cast, "messages_email").status_code == 201
    patient = cast.client(cast.patient)
    assert patient.send("POST", "mood-check-ins", entry()).json()["code"] == "consent_required"
    dispatch.tick(now=due)
    dispatch.deliver(now=due)
    assert post.mails == []
    assert patient.send("POST", f"{CARE}/agree", {"version": 2}).status_code == 200
    assert patient.send("POST", "mood-check-ins", entry()).status_code == 201


def test_the_words_come_in_the_patients_language_where_there_are_such(cast: Cast) -> None:
    texts = [
        {"language": "en", "title": "Diary", "text": "English"},
        {"language": "hi", "title": "डायरी", "text": "हिन्दी"},
    ]
    assert publish(cast, "care", texts=texts).status_code == 201
    assert one(cast, "care")["text"] == "English"
    patient = cast.client(cast.patient)
    assert patient.send("PATCH", "me", {"locale": "hi"}).status_code == 200
    assert one(cast, "care")["text"] == "हिन्दी"
    agreed = patient.send("POST", f"{CARE}/agree", {"version": 2, "language": "hi"}).json()
    assert agreed["history"][0]["language"] == "hi"
    assert publish(cast, "care", texts=texts[:1] * 2).status_code == 400


def test_strangers_see_and_change_no_consents(cast: Cast) -> None:
    path = f"consents?patient={cast.patient.id}"
    assert cast.client(cast.psychiatrist).send("GET", path).json()["results"][0]["status"] == "agreed"
    for stranger in (cast.outsider, cast.nurse, cast.other_patient, cast.outside_patient):
        assert cast.client(stranger).send("GET", path).status_code == 404
    for other in (cast.administrator, cast.auditor):
        assert cast.client(other).send("GET", path).status_code == 403
    assert cast.client().send("GET", "consents").status_code == 401
    assert cast.client(cast.psychiatrist).send("GET", "consents").status_code == 400
    for staff in (cast.psychiatrist, cast.administrator, cast.outsider):
        assert cast.client(staff).send("POST", f"{CARE}/agree", {"version": 1}).status_code == 403
        assert cast.client(staff).send("POST", f"{CARE}/withdraw").status_code == 403
    assert cast.client(cast.patient).send("POST", "consents/fishing/agree", {"version": 1}).status_code == 404
    publish(cast, "care")
    seen = cast.client(cast.outsider).send("GET", "consent-documents").json()["results"]
    assert seen == []
    assert cast.client(cast.patient).send("GET", "consent-documents").status_code == 403
    assert cast.client(cast.psychiatrist).send("POST", "consent-documents", {}).status_code == 403


@pytest.mark.parametrize(
    "statement", ["UPDATE accounts_consentrecord SET act = 'agreed'", "DELETE FROM accounts_consentrecord"]
)
def test_what_was_said_cannot_be_rewritten(cast: Cast, statement: str) -> None:
    with access.acting_as(cast.patient.id, cast.clinic.id, "test"), connection.cursor() as cursor:
        cursor.execute(statement)
        assert cursor.rowcount == 0, "no policy lets the application do it"
    with (
        pytest.raises((InternalError, DatabaseError), match="Cannot"),
        access.maintaining("test"),
        connections["default"].cursor() as cursor,
    ):
        cursor.execute(statement)
    with access.acting_as(cast.patient.id, cast.clinic.id, "test"):
        assert ConsentRecord.objects.filter(patient=cast.patient).count() == len(BUILT_IN)


def test_nobody_agrees_for_somebody_else(cast: Cast) -> None:
    forged = consents.first_agreement(
        patient_id=cast.patient.id, clinic_id=cast.clinic.id, words=BUILT_IN[0], now=clock.now()
    )
    for person in (cast.psychiatrist.id, cast.administrator.id, None):
        with pytest.raises(DatabaseError, match="row-level"), access.acting_as(person, cast.clinic.id, "test"):
            forged.save(force_insert=True)


def test_accepting_the_invitation_is_the_first_agreement_and_its_mail_says_to_what(cast: Cast) -> None:
    body = {"email": "new@example.org", "full_name": "New", "role": "patient", "born_on": "1990-01-01"}
    assert cast.client(cast.administrator).send("POST", "invitations", body).status_code == 201
    with access.maintaining("test"):
        mail = OutboxMail.objects.latest("created_at").text
    assert "By accepting you agree" in mail
    code = next(line.strip() for line in mail.splitlines() if line.startswith("    "))
    phone = Client()
    joined = phone.send(
        "POST", "auth/app/v1/auth/signup", {"email": "new@example.org", "password": PASSWORD, "invitation": code}
    )
    phone.credentials(HTTP_AUTHORIZATION=f"Bearer {joined.json()['meta']['session_token']}")
    assert {row["status"] for row in phone.send("GET", "consents").json()["results"]} == {"agreed"}
    check_in = {"felt_at": "2026-11-20T08:00:00+05:30", "time_zone": "Asia/Kolkata", "mood": 4}
    assert phone.send("PUT", f"mood-check-ins/{uuid4()}", check_in).status_code == 201
