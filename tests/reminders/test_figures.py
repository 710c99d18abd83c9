"""The engine's figures: what was claimed, sent, not sent and tried again, and how late, over all processes."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.test import Client as Browser

from backend.accounts import access
from backend.reminders import dispatch, figures
from backend.reminders.models import Delivery, Tally
from tests.reminders.engine import check_in_rule, later, ledger


@pytest.fixture(autouse=True)
def from_nothing(database):
    """What other tests counted in this process is not told here."""
    figures._waiting.clear()


def lines(name):
    """The lines of /metrics with this name, without their time of making."""
    told = Browser().get("/metrics").content.decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in told if line.startswith(name)}


def test_what_is_claimed_and_sent_is_counted_by_class_and_channel(cast, post):
    check_in_rule(cast.patient)
    check_in_rule(cast.other_patient)
    check_in_rule(cast.nurse)
    dispatch.tick(now=later(seconds=3))
    dispatch.deliver(now=later(seconds=4))
    assert lines("afterglow_reminders_claimed_total") == {'afterglow_reminders_claimed_total{class="habit"}': 3}
    assert lines("afterglow_reminders_sent_total") == {
        'afterglow_reminders_sent_total{channel="email"}': 2,
        'afterglow_reminders_sent_total{channel="inbox"}': 1,
    }


def test_lateness_is_a_histogram_from_the_hour_of_leaving(cast, post):
    check_in_rule(cast.patient)
    check_in_rule(cast.nurse)
    dispatch.tick(now=later(seconds=1.5))
    dispatch.deliver(now=later(seconds=40))
    told = lines("afterglow_reminders_lateness_seconds")
    buckets = {name.split('le="')[1].rstrip('"}'): count for name, count in told.items() if "_bucket" in name}
    assert buckets == {
        "0.5": 0, "1.0": 0, "2.0": 1, "5.0": 1, "10.0": 1, "30.0": 1, "60.0": 2, "300.0": 2, "3600.0": 2, "+Inf": 2,
    }  # fmt: skip
    assert told['afterglow_reminders_lateness_seconds_count{class="habit"}'] == 2
    late = [
        (row.sent_at - row.send_at).total_seconds()
        for each in (cast.patient, cast.nurse)
        for row in ledger(each, status="sent")
    ]
    assert told['afterglow_reminders_lateness_seconds_sum{class="habit"}'] == pytest.approx(sum(late), abs=0.01)
    assert sorted(late)[0] == 1.5
    assert sorted(late)[1] >= 40


def test_what_was_not_sent_is_counted_by_its_reason(cast):
    check_in_rule(cast.patient)
    dispatch.tick(now=later(hours=9))
    assert lines("afterglow_reminders_expired_total") == {
        'afterglow_reminders_expired_total{reason="window_closed"}': 1
    }


def test_another_attempt_and_the_end_of_all_attempts_are_counted(cast, post):
    check_in_rule(cast.patient)
    post.answer = "451 later"
    dispatch.tick(now=later())
    dispatch.deliver(now=later())
    assert lines("afterglow_reminders_retries_total") == {'afterglow_reminders_retries_total{channel="email"}': 1}
    post.answer = "550 never"
    dispatch.deliver(now=later(minutes=2))
    assert lines("afterglow_reminders_failed_total") == {'afterglow_reminders_failed_total{channel="email"}': 1}


def test_what_was_handed_over_and_never_confirmed_is_counted(cast):
    check_in_rule(cast.patient)
    dispatch.tick(now=later())
    with access.maintaining("test"):
        token, ended = "00000000-0000-0000-0000-000000000001", later(seconds=1)
        Delivery.objects.filter(channel="email").update(status="sending", lease_token=token, lease_ends_at=ended)
    dispatch.tick(now=later(seconds=2))
    assert lines("afterglow_reminders_unknown_total") == {'afterglow_reminders_unknown_total{channel="email"}': 1}
    assert lines("afterglow_reminders_in_doubt") == {"afterglow_reminders_in_doubt": 1}


def test_processes_add_up_and_never_wait_crosswise(database, monkeypatch):
    def count(place):
        try:
            for _ in range(5):
                with access.dispatching("tally"), connections["dispatch"].cursor() as cursor:
                    cursor.execute(figures._FLUSH, {"names": ["due", "sent"], "labels": ["care", "email"],
                                                    "places": [place] * 2, "values": [2, 1]})  # fmt: skip
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, [1, 1, 2, 3]))
    assert figures.totals() == {("due", "care"): 40, ("sent", "email"): 20}
    with access.maintaining("test"):
        assert Tally.objects.count() == 6


def test_what_could_not_be_written_is_written_with_the_next(database):
    figures.add("due", "x" * 100)  # longer than its column
    figures.flush()
    assert figures._waiting[("due", "x" * 100)] == 1
    figures._waiting.clear()
    figures.add("due", "care")
    figures.flush()
    figures.flush()
    assert figures.totals() == {("due", "care"): 1}
    with access.maintaining("test"):
        assert Tally.objects.get().process == os.getpid() % 16


def test_no_patient_and_no_clinic_is_in_the_figures(cast, post):
    check_in_rule(cast.patient)
    dispatch.tick(now=later() + timedelta(seconds=1))
    dispatch.deliver(now=later(seconds=2))
    with access.maintaining("test"):
        told = str(list(Tally.objects.values_list("name", "label")))
    assert str(cast.patient.id) not in told
    assert str(cast.clinic.id) not in told
    with access.acting_as(cast.administrator.id, cast.clinic.id, "test"):
        assert not Tally.objects.exists()
