"""What a clinic no longer keeps goes, and nothing else: no rule, a hold, or another clinic's rule keep it."""

import io
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command

from backend.accounts.models import Person
from backend.common import clock
from backend.interop import retention
from tests.cast import Cast
from tests.interop.life import as_owner, join_elsewhere
from tests.reminders.engine import check_in_rule

OLD = clock.now() - timedelta(days=400)
NEW = clock.now() - timedelta(days=10)


def check_ins(cast: Cast, person: Person, *felt_at: datetime) -> None:
    """Entries of these instants, each with an earlier version."""
    phone = cast.client(person)
    for at in felt_at:
        body = {"felt_at": at.isoformat(), "time_zone": "Asia/Kolkata", "mood": 4}
        made = phone.send("POST", "mood-check-ins", body)
        assert made.status_code == 201, made.content
        phone.send("PATCH", f"mood-check-ins/{made.json()['id']}", {"mood": 5}, **{"If-Match": '"1"'})


def rule(cast: Cast, kind: str = "mood_check_ins", days: int = 365, *, person: Person | None = None) -> Any:
    """A clinic's rule."""
    client = cast.client(person or cast.administrator)
    return client.send("PUT", f"retention-rules/{kind}", {"keep_days": days, "basis": "Act 5, section 3"})


def elsewheres_rule(cast: Cast, days: int) -> None:
    """A rule of the other clinic."""
    as_owner(
        "INSERT INTO interop_retentionrule (id, clinic_id, kind, keep_days, basis, set_by_id, set_at) "
        "VALUES (gen_random_uuid(), %s, 'mood_check_ins', %s, 'theirs', %s, now())",
        [cast.elsewhere.id, days, cast.outsider.id],
    )


def left(person: Person, table: str = "aftercare_moodcheckin") -> int:
    """How many rows the person has there."""
    return int(as_owner(f"SELECT count(*) FROM {table} WHERE patient_id = %s", [person.id])[0][0])


def test_without_a_rule_nothing_is_ever_removed(cast: Cast) -> None:
    check_ins(cast, cast.patient, OLD)
    assert retention.run(now=clock.now() + timedelta(days=90_000)) == []
    assert left(cast.patient) == 1


def test_a_rule_removes_what_is_older_with_its_earlier_versions_and_nothing_newer(cast: Cast) -> None:
    check_ins(cast, cast.patient, OLD, NEW)
    check_ins(cast, cast.outside_patient, OLD)
    assert rule(cast).status_code == 201
    removed = retention.run(now=clock.now())
    assert {each.table: each.rows for each in removed} == {
        "aftercare_moodcheckin": 1, "aftercare_moodcheckinevent": 1,
    }  # fmt: skip
    assert (left(cast.patient), left(cast.patient, "aftercare_moodcheckinevent")) == (1, 1)
    assert left(cast.outside_patient) == 1, "another clinic's patient"
    assert sum(each.rows for each in retention.run(now=clock.now())) == 0


def test_a_dry_run_prints_what_it_would_remove_and_removes_nothing(cast: Cast) -> None:
    check_ins(cast, cast.patient, OLD, NEW)
    rule(cast)
    out = io.StringIO()
    call_command("retain", "--dry-run", stdout=out)
    assert "mood_check_ins, kept 365 days: would remove 1 rows of aftercare_moodcheckin\n" in out.getvalue()
    assert out.getvalue().endswith("would remove 2 rows by 1 rules\n")
    assert left(cast.patient) == 2
    call_command("retain", stdout=out)
    assert out.getvalue().endswith("\nremoved 2 rows by 1 rules\n")
    assert left(cast.patient) == 1


def test_a_legal_hold_of_any_clinic_keeps_everything(cast: Cast) -> None:
    check_ins(cast, cast.patient, OLD)
    check_ins(cast, cast.other_patient, OLD)
    rule(cast)
    hold = {"patient": str(cast.patient.id), "reason": "Court order"}
    cast.client(cast.administrator).send("POST", "legal-holds", hold)
    retention.run(now=clock.now())
    assert (left(cast.patient), left(cast.other_patient)) == (1, 0)


def test_a_patient_of_two_clinics_keeps_what_either_keeps(cast: Cast) -> None:
    check_ins(cast, cast.patient, OLD, clock.now() - timedelta(days=600))
    join_elsewhere(cast, cast.patient)
    rule(cast)
    retention.run(now=clock.now())
    assert left(cast.patient) == 2, "the other clinic has no rule, so it keeps all"
    elsewheres_rule(cast, days=500)
    retention.run(now=clock.now())
    assert left(cast.patient) == 1, "the longer of the two counts"


def test_visits_go_with_their_occurrences_and_reminders_with_their_deliveries(cast: Cast) -> None:
    desk = cast.client(cast.psychiatrist)
    start = clock.now() + timedelta(days=2)
    visit = {"patient": str(cast.patient.id), "kind": "therapy", "starts_at": start.isoformat(), "minutes": 50}
    assert desk.send("PUT", f"appointments/{uuid.uuid4()}", visit).status_code == 201
    long_ago = clock.now() - timedelta(days=200)
    check_in_rule(cast.patient, now=long_ago, start=datetime(long_ago.year, long_ago.month, long_ago.day, 21))  # noqa: DTZ001
    for kind in ("appointments", "reminders"):
        assert rule(cast, kind, 90).status_code == 201
    assert sum(each.rows for each in retention.run(now=clock.now())) == 1, "the check-in of 200 days ago"
    as_owner("UPDATE aftercare_appointment SET starts_at = starts_at - interval '1 year'")
    as_owner("UPDATE reminders_reminder SET due_at = due_at - interval '1 year'")
    found = {each.table: each.rows for each in retention.run(now=clock.now())}
    assert (found["aftercare_appointment"], found["aftercare_occurrence"]) == (1, 1)
    assert found["reminders_reminder"] > 0
    assert left(cast.patient, "aftercare_appointment") == left(cast.patient, "aftercare_occurrence") == 0


def test_administrators_set_rules_and_others_do_not(cast: Cast) -> None:
    made = rule(cast)
    assert (made.status_code, made.json()["keep_days"], made.json()["basis"]) == (201, 365, "Act 5, section 3")
    assert (rule(cast).status_code, rule(cast).json()) == (200, made.json())
    assert rule(cast, days=400).json()["keep_days"] == 400
    assert rule(cast, days=89).status_code == 400
    assert rule(cast, "dreams").status_code == 404
    assert "mood_check_ins" in rule(cast, "dreams").json()["detail"]
    for person in (cast.psychiatrist, cast.auditor, cast.outsider):
        assert rule(cast, person=person).status_code == 403
        assert cast.client(person).send("DELETE", "retention-rules/mood_check_ins").status_code == 403
    assert rule(cast, person=cast.patient).status_code == 403
    listed = cast.client(cast.auditor).send("GET", "retention-rules").json()["results"]
    assert {row["kind"]: row["keep_days"] for row in listed if row["keep_days"]} == {"mood_check_ins": 400}
    assert [row["kind"] for row in listed] == retention.kinds()
    foreign = cast.client(cast.outsider).send("GET", "retention-rules").json()["results"]
    assert not any(row["keep_days"] for row in foreign)
    assert cast.client(cast.outsider).send("GET", "retention-rules/mood_check_ins").json()["keep_days"] is None
    office = cast.client(cast.administrator)
    assert office.send("DELETE", "retention-rules/mood_check_ins").status_code == 204
    assert office.send("DELETE", "retention-rules/mood_check_ins").status_code == 204
    assert office.send("GET", "retention-rules/mood_check_ins").json()["keep_days"] is None


def test_each_kind_of_log_can_have_a_rule_and_sessions_cannot() -> None:
    assert {"mood_check_ins", "side_effects", "appointments", "reminders"} <= set(retention.kinds())
    assert "sessions" not in retention.kinds()


@pytest.mark.parametrize("task", ["interop.work", "interop.retain"])
def test_the_rounds_are_entries_of_beat(task: str) -> None:
    assert settings.CELERY_BEAT_SCHEDULE[task]["options"]["expire_seconds"]
