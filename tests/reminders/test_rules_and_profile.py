"""Own rules and the own profile over the API."""

import uuid
from datetime import time, timedelta
from functools import partial

import pytest

from backend.common import clock
from backend.reminders import planning
from backend.reminders.models import Rule
from tests.reminders.engine import at_once, check_in_rule, door, ledger

RULE = {"title": "Stretch", "rrule": "FREQ=DAILY", "start": "2026-11-24T08:00", "time_zone": "Asia/Kolkata"}


def test_an_own_rule_is_created_once_and_replaced_by_the_same_address(cast):
    client, path = cast.client(cast.patient), f"reminder-rules/{uuid.uuid4()}"
    first = client.send("PUT", path, RULE)
    again = client.send("PUT", path, RULE)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert (first.json()["purpose"], first.json()["version"], first["ETag"]) == ("own", 1, '"1"')
    changed = client.send("PUT", path, RULE | {"title": "Walk"})
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    assert client.send("PUT", path, RULE, **{"If-Match": '"1"'}).status_code == 412
    assert [row["title"] for row in client.send("GET", "reminder-rules").json()["results"]] == ["Walk"]
    assert client.send("GET", path).json() == changed.json()


def test_an_ended_rule_is_gone_and_can_be_brought_back(cast):
    client, path = cast.client(cast.patient), f"reminder-rules/{uuid.uuid4()}"
    client.send("PUT", path, RULE)
    assert client.send("DELETE", path).status_code == 204
    assert [row.status for row in ledger(cast.patient)] == ["skipped"]
    assert client.send("GET", "reminder-rules").json()["results"] == []
    for verb, body in (("GET", None), ("DELETE", None), ("PUT", RULE)):
        gone = client.send(verb, path, body)
        assert gone.status_code == 410
    assert client.send("PUT", path, RULE, **{"If-Match": gone["ETag"]}).status_code == 200
    assert [row.status for row in ledger(cast.patient)] == ["planned"]


def test_of_two_edits_made_from_the_same_version_one_is_refused(cast):
    path = f"reminder-rules/{uuid.uuid4()}"
    cast.client(cast.patient).send("PUT", path, RULE)
    first, second = at_once(
        cast.patient,
        *(partial(cast.client(cast.patient).send, "PUT", path, RULE | {"title": title}, **{"If-Match": '"1"'})
          for title in ("Walk", "Swim")),
    )  # fmt: skip
    assert sorted([first.status_code, second.status_code]) == [200, 412]
    assert cast.client(cast.patient).send("GET", path).json()["version"] == 2


def test_an_edit_that_meets_the_end_of_its_series_does_not_reopen_it(cast):
    id, phone = uuid.uuid4(), cast.client(cast.patient)
    path = f"reminder-rules/{id}"
    phone.send("PUT", path, RULE)
    (answer,) = at_once(
        cast.patient,
        partial(phone.send, "PUT", path, RULE | {"title": "Walk"}),
        before=partial(planning.end_rule, rule_id=id, person_id=cast.patient.id, now=clock.now()),
    )
    assert answer.status_code == 410
    assert phone.send("GET", path).status_code == 410


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"rrule": "FREQ=YEARLY"}, "/rrule"),
        ({"rrule": "FREQ=DAILY;UNTIL=20200101T000000"}, "/rrule"),
        ({"rrule": "FREQ=DAILY;BYHOUR=0,1,2,3,4;BYMINUTE=0,10,20,30,40,50"}, "/rrule"),
        ({"rrule": "FREQ=DAILY\x00"}, "/rrule"),
        ({"rrule": 5}, "/rrule"),
        ({"rrule": "FREQ=DAILY\nRDATE:00010101T000000"}, "/rrule"),
        ({"rrule": "FREQ=DAILY\nEXDATE:99991231T235959", "time_zone": "America/New_York"}, "/rrule"),
        ({"rrule": "FREQ=DAILY;UNTIL=20260101T000000\nRDATE:99991231T200000Z"}, "/rrule"),
        ({"rrule": "FREQ=MONTHLY;INTERVAL=95759", "start": "2020-01-31T23:59:00"}, "/rrule"),
        ({"start": "1900-01-01T00:00:00+23:59"}, "/rrule"),
        ({"start": "2200-01-01T00:00:00"}, "/start"),
        ({"start": "2026-02-30T08:00"}, "/start"),
        ({"start": "1200-02-03T08:00"}, "/start"),
        ({"start": "soon"}, "/start"),
        ({"start": "2026-11-24T08:00\n"}, "/start"),
        ({"purpose": "own\n"}, "/purpose"),
        ({"time_zone": "Mars/Base"}, "/time_zone"),
        ({"title": "x" * 201}, "/title"),
        ({"title": None}, "/title"),
        ({"purpose": "alert"}, "/purpose"),
        ({"colour": "red"}, "/colour"),
        ({"id": str(uuid.uuid4())}, "/id"),
    ],
)
def test_a_rule_with_a_fault_is_refused_with_the_field(cast, change, pointer):
    answer = cast.client(cast.patient).send("PUT", f"reminder-rules/{uuid.uuid4()}", RULE | change)
    assert answer.status_code == 400
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert ledger(cast.patient) == []


def test_a_rule_of_someone_else_is_404(cast):
    path = f"reminder-rules/{uuid.uuid4()}"
    cast.client(cast.patient).send("PUT", path, RULE)
    for verb, body in (("GET", None), ("PUT", RULE), ("DELETE", None)):
        assert cast.client(cast.other_patient).send(verb, path, body).status_code == 404
        assert cast.client(cast.outsider).send(verb, path, body).status_code == 403


def test_the_profile_shows_who_one_is_and_where_one_lived(cast):
    body = cast.client(cast.patient).send("GET", "me").json()
    assert (body["id"], body["time_zone"], body["quiet_from"]) == (str(cast.patient.id), "Asia/Kolkata", None)
    assert [stay["time_zone"] for stay in body["zone_history"]] == ["Asia/Kolkata"]
    assert body["memberships"] == [{"clinic": str(cast.clinic.id), "role": "patient"}]


def test_a_changed_zone_moves_what_is_to_come_and_keeps_the_history(cast):
    now = clock.now()
    start = (now + timedelta(hours=6)).replace(tzinfo=None, microsecond=0)
    check_in_rule(cast.patient, now=now, start=start)
    (before,) = ledger(cast.patient)
    body = cast.client(cast.patient).send("PATCH", "me", {"time_zone": "Europe/London"}).json()
    assert [stay["time_zone"] for stay in body["zone_history"]] == ["Asia/Kolkata", "Europe/London"]
    (planned,) = ledger(cast.patient, status="planned")
    assert planned.due_at != before.due_at
    assert [row.reason for row in ledger(cast.patient, status="skipped")] == ["zone_changed"]


def test_quiet_hours_move_the_hour_of_sending_and_null_takes_them_away(cast):
    now = clock.now()
    due = (now + timedelta(hours=3)).replace(microsecond=0)
    check_in_rule(cast.patient, now=now, start=(due + timedelta(hours=5, minutes=30)).replace(tzinfo=None))
    local = due + timedelta(hours=5, minutes=30)
    quiet = {"quiet_from": f"{local - timedelta(hours=1):%H:%M}", "quiet_until": f"{local + timedelta(hours=1):%H:%M}"}
    client = cast.client(cast.patient)
    assert client.send("PATCH", "me", quiet).json()["quiet_from"] == quiet["quiet_from"]
    (row,) = ledger(cast.patient)
    assert row.due_at < row.send_at
    client.send("PATCH", "me", {"quiet_from": None, "quiet_until": None})
    (row,) = ledger(cast.patient)
    assert row.due_at == row.send_at


def test_two_changes_of_the_profile_at_once_both_hold_for_the_reminders(cast):
    phone = cast.client(cast.patient)
    phone.send("PUT", f"reminder-rules/{uuid.uuid4()}", RULE | {"time_zone": None})
    zone, quiet = at_once(
        cast.patient,
        partial(phone.send, "PATCH", "me", {"time_zone": "Europe/London"}),
        partial(cast.client(cast.patient).send, "PATCH", "me", {"quiet_from": "22:00", "quiet_until": "07:00"}),
    )
    assert (zone.status_code, quiet.status_code) == (200, 200)
    with door(cast.patient):
        rule = Rule.objects.get(person=cast.patient)
    assert (rule.time_zone, rule.quiet_from) == ("Europe/London", time(22))


def test_a_rule_that_is_made_while_quiet_hours_are_set_keeps_them(cast):
    phone = cast.client(cast.patient)
    phone.send("PUT", f"reminder-rules/{uuid.uuid4()}", RULE)
    at_once(
        cast.patient,
        partial(phone.send, "PATCH", "me", {"quiet_from": "22:00", "quiet_until": "07:00"}),
        partial(cast.client(cast.patient).send, "PUT", f"reminder-rules/{uuid.uuid4()}", RULE),
    )
    with door(cast.patient):
        assert {rule.quiet_from for rule in Rule.objects.filter(person=cast.patient)} == {time(22)}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"time_zone": "Mars/Base"}, "/time_zone"),
        ({"time_zone": None}, "/time_zone"),
        ({"quiet_from": "25:00"}, "/quiet_from"),
        ({"quiet_from": "22:00"}, "/quiet_until"),
        ({"country": "India"}, "/country"),
        ({"born_on": "2020-01-01"}, "/born_on"),
        ({"sex_at_birth": "x"}, "/sex_at_birth"),
        ({"locale": "not a locale"}, "/locale"),
        ({"channels": ["pigeon"]}, "/channels/0"),
        ({"channels": ["email\n"]}, "/channels/0"),
        ({"country": "IN\n"}, "/country"),
        ({"locale": "en\n"}, "/locale"),
        ({"quiet_from": "22:00\n", "quiet_until": "07:00"}, "/quiet_from"),
        ({"quiet_from": "22:00", "quiet_until": "07:00\n"}, "/quiet_until"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_a_profile_with_a_fault_is_refused_with_the_field(cast, change, pointer):
    answer = cast.client(cast.patient).send("PATCH", "me", change)
    assert answer.status_code == 400
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


def test_read_only_fields_are_ignored_and_others_change(cast):
    client = cast.client(cast.patient)
    body = client.send("PATCH", "me", {"email": "x@example.org", "locale": "hi-IN", "country": None}).json()
    assert (body["email"], body["locale"], body["country"]) == (cast.patient.email, "hi-IN", "")
    assert client.send("GET", "me").json() == body
