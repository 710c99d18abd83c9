"""Due reminders are claimed once, whoever looks, and an outage loses none and floods nobody."""

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.db import connections

from backend.accounts import access, counters
from backend.reminders import batches, claiming, dispatch, leases, planning
from backend.reminders.models import Delivery, Purpose, Reminder, Rule, Status
from tests.reminders.engine import (
    DUE,
    EVENING,
    NOON,
    appointment,
    check_in_rule,
    deliveries,
    door,
    later,
    ledger,
    statuses,
)


def states(person):
    return [(row.due_at - DUE, row.status) for row in ledger(person)]


def test_a_claim_writes_the_delivery_and_the_next_occurrence(cast):
    check_in_rule(cast.patient)
    assert claiming.claim(now=later(seconds=-1)) == 0
    assert claiming.claim(now=DUE) == 1
    assert claiming.claim(now=DUE) == 0
    assert states(cast.patient) == [(timedelta(0), "due"), (timedelta(days=1), "planned")]
    assert statuses(cast.patient) == [("email", "pending")]


def test_two_beats_at_the_same_moment_claim_each_row_once(cast):
    for person in (cast.patient, cast.other_patient, cast.unassigned_patient):
        for hour in range(8):
            check_in_rule(person, start=EVENING.replace(minute=hour))

    def beat(_):
        try:
            return sum(claiming.claim(now=later(minutes=10)) for _ in range(5))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        claimed = list(pool.map(beat, range(4)))
    assert sum(claimed) == 24
    with access.dispatching():
        assert Delivery.objects.using("dispatch").count() == 24
        assert Reminder.objects.using("dispatch").filter(status=Status.PLANNED).count() == 24


def test_an_outage_of_three_days_yields_one_late_reminder_not_three(cast):
    check_in_rule(cast.patient)
    claiming.claim(now=later(days=3, minutes=5))
    assert states(cast.patient) == [(timedelta(0), "expired"), (timedelta(days=4), "planned")]
    assert ledger(cast.patient)[0].reason == "window_closed"
    assert deliveries(cast.patient) == []


def test_a_late_reminder_still_goes_out_within_its_window(cast):
    check_in_rule(cast.patient)
    claiming.claim(now=later(minutes=149))
    assert states(cast.patient)[0] == (timedelta(0), "due")


def test_without_another_channel_the_inbox_is_all(cast):
    with door(cast.patient):
        cast.patient.channels = []
        cast.patient.save(update_fields=["channels"])
    check_in_rule(cast.patient)
    claiming.claim(now=DUE)
    assert states(cast.patient)[0] == (timedelta(0), "sent")
    assert statuses(cast.patient) == [("inbox", "sent")]


def test_a_rule_that_throws_does_not_stop_the_others(cast):
    broken = check_in_rule(cast.patient)
    check_in_rule(cast.other_patient)
    with door(cast.patient):
        Rule.objects.filter(id=broken.id).update(rrule="FREQ=NEVER")
    assert claiming.claim(now=DUE) == 2
    assert states(cast.other_patient)[0] == (timedelta(0), "due")
    (row,) = ledger(cast.patient)
    assert (row.status, row.send_at) == ("planned", later(hours=1))
    with door(cast.patient):
        Rule.objects.filter(id=broken.id).update(rrule="FREQ=DAILY")
    claiming.claim(now=later(hours=1))
    assert states(cast.patient) == [(timedelta(0), "due"), (timedelta(days=1), "planned")]


def test_a_rule_that_is_being_edited_is_left_for_the_next_tick(cast):
    rule = check_in_rule(cast.patient)
    with ThreadPoolExecutor(1) as pool, door(cast.patient):
        planning.end_rule(rule_id=rule.id, person_id=cast.patient.id, now=NOON)
        assert pool.submit(_claim_elsewhere).result() == 0
    assert claiming.claim(now=DUE) == 0
    assert [row.status for row in ledger(cast.patient)] == ["skipped"]


def _claim_elsewhere():
    try:
        return claiming.claim(now=DUE)
    finally:
        connections.close_all()


def test_what_an_edit_took_away_is_planned_again_when_the_series_comes_to_it(cast):
    rule = check_in_rule(cast.patient)
    with door(cast.patient):
        planning.set_rule(
            id=rule.id, person=cast.patient, purpose=Purpose.CHECK_IN, rrule="FREQ=DAILY;BYHOUR=15,21",
            start=EVENING.replace(hour=12), now=NOON,
        )  # fmt: skip
    assert states(cast.patient) == [(timedelta(hours=-6), "planned"), (timedelta(0), "skipped")]
    claiming.claim(now=later(hours=-6))
    assert states(cast.patient) == [(timedelta(hours=-6), "due"), (timedelta(0), "planned")]


def test_the_dispatchers_changes_get_numbers_that_go_on_where_the_patients_own_stopped(cast):
    check_in_rule(cast.patient)
    dispatch.tick(now=DUE)
    due, planned = ledger(cast.patient)
    assert (due.version, due.change_number) == (2, 2)
    assert (planned.version, planned.change_number) == (1, 3)


def test_that_it_left_is_no_change_of_the_patients(cast, post):
    check_in_rule(cast.patient)
    dispatch.tick(now=DUE)
    told = ledger(cast.patient)[0]
    dispatch.deliver(now=DUE)
    sent = ledger(cast.patient)[0]
    assert (sent.status, sent.version, sent.change_number) == ("sent", told.version, told.change_number)


def test_no_index_of_the_ledger_changes_with_what_is_sent(cast):
    """So that the row stays on its page; a column that says when to look again is empty for it (models/ledger.py)."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT string_agg(indexdef, ' ') FROM pg_indexes WHERE tablename = 'reminders_reminder'")
        indexes = cursor.fetchone()[0]
    assert not {"status", "reason", "sent_at", "updated_at", "version"} & set(re.findall(r"\w+", indexes))


def test_a_patient_who_is_just_writing_holds_up_nobody(cast):
    check_in_rule(cast.patient)
    check_in_rule(cast.other_patient)
    with ThreadPoolExecutor(1) as pool, door(cast.patient):
        counters.lock(patient_id=cast.patient.id)
        assert pool.submit(_claim_elsewhere).result(timeout=5) == 2
    assert [row.change_number for row in ledger(cast.other_patient)] == [2, 3]
    assert [row.change_number for row in ledger(cast.patient)] == [None, None]
    assert dispatch.number() == 2
    assert [(row.version, row.change_number) for row in ledger(cast.patient)] == [(2, 2), (1, 3)]


def test_the_dispatcher_sees_reminders_of_all_clinics_and_no_person(cast):
    check_in_rule(cast.patient)
    check_in_rule(cast.outside_patient)
    with access.dispatching(), connections["dispatch"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM reminders_reminder")
        assert cursor.fetchone() == (2,)
        cursor.execute("SELECT has_table_privilege('accounts_person', 'SELECT')")
        assert cursor.fetchone() == (False,)


def test_the_two_hour_reminder_of_an_appointment_is_due_two_hours_before(cast):
    appointment(cast.patient, later(hours=2), about=("occurrence", uuid.uuid4()))
    assert claiming.claim(now=later(seconds=-1)) == 0
    assert claiming.claim(now=DUE) == 1
    assert [(row.status, row.reason) for row in ledger(cast.patient)] == [("skipped", "made_later"), ("due", "")]


def test_a_lane_is_found_past_any_backlog_of_another(cast):
    """Nobody reads through a hundred thousand waiting mails to see whether a notification waits."""
    lane = {"class": "habit", "channel": "push", "before": DUE, "most": 10, "token": uuid.uuid4(), "status": "leased",
            "until": DUE, "now": DUE}  # fmt: skip
    with access.dispatching(), batches.cursor() as cursor:
        plan = "\n".join(line for (line,) in cursor.execute(f"EXPLAIN {leases._LEASE}", lane).fetchall())
    condition = next(line for line in plan.splitlines() if "Index Cond" in line and "try_at" in line)
    assert "delivery_to_lease" in plan
    assert "channel" in condition


BACKLOG = """
INSERT INTO reminders_delivery (id, reminder_id, person_id, clinic_id, reminder_class, channel, attempt, status, try_at,
  error, created_at, changed_at)
SELECT gen_random_uuid(), id, person_id, clinic_id, reminder_class, 'push', n, 'pending', due_at, '', due_at, due_at
FROM reminders_reminder, generate_series(1, 3000) n
"""


def test_which_lanes_have_something_waiting_is_known_without_reading_all_that_waits(cast):
    check_in_rule(cast.patient)
    with connections["owner"].cursor() as cursor:
        cursor.execute("SET afterglow.purpose = 'maintenance: many'")
        cursor.execute(BACKLOG)
        cursor.execute("RESET afterglow.purpose")
    asked = {"classes": ["habit"] * 3, "channels": ["sms", "push", "email"], "befores": [DUE] * 3}
    with access.dispatching(), batches.cursor() as cursor:
        lanes = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {leases._LANES}"
        [[[plan]]] = cursor.execute(lanes, asked).fetchall()
    assert max(_rows(plan["Plan"])) <= 3


def _rows(node):
    yield node["Actual Rows"] * node["Actual Loops"]
    for below in node.get("Plans", ()):
        yield from _rows(below)


# More reminders of the same rule, each a second earlier; the statistics then know that they are many.
MANY = """
INSERT INTO reminders_reminder (id, rule_id, person_id, clinic_id, purpose, reminder_class, about_type, due_at, send_at,
  expires_at, status, reason, version, change_number, created_at, updated_at)
SELECT gen_random_uuid(), rule_id, person_id, clinic_id, purpose, reminder_class, about_type,
  due_at - n * interval '1 second', send_at - n * interval '1 second', expires_at, 'planned', '', 1, n, %s, %s
FROM reminders_reminder, generate_series(1, 5000) n
"""


def test_a_batch_is_read_in_the_order_of_its_index_and_never_sorted_out_of_all_that_is_due(cast):
    check_in_rule(cast.patient)
    with connections["owner"].cursor() as cursor:
        cursor.execute("SET afterglow.purpose = 'maintenance: many'")
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(MANY, [NOON, NOON])
        cursor.execute("RESET session_replication_role")
        cursor.execute("RESET afterglow.purpose")
        cursor.execute("ANALYZE reminders_reminder")
    asked = {"class": "habit", "now": DUE, "most": claiming.BATCH}
    for lower in (True, False):
        with access.dispatching(), connections["dispatch"].cursor() as cursor:
            cursor.execute("EXPLAIN " + claiming._TAKE, asked | {"lower": lower})
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "Index Scan using reminder_to_claim" in plan
        assert "Sort" not in plan
        assert "Bitmap" not in plan
