"""The watch: its thread outlives what the database does, and readiness tells how old each sign of life is."""

from datetime import timedelta

import pytest
from django.db import connections

from backend.accounts import access
from backend.common import clock
from backend.reminders import claiming, watch
from backend.reminders.models import Delivery, Heartbeat
from tests.reminders.engine import DUE, check_in_rule, deliveries, later, ledger, until


@pytest.fixture
def sweeping(database, monkeypatch):
    """Beat's own thread, quicker than in earnest, stopped at the end."""
    monkeypatch.setattr(watch, "SWEEP_SECONDS", 0.05)
    thread = watch.start_sweeping()
    yield thread
    thread.stop()


def test_the_sweep_claims_what_is_due_without_any_task(cast, sweeping):
    now = clock.now()
    start = (now + timedelta(hours=5, minutes=30)).replace(tzinfo=None, microsecond=0)
    check_in_rule(cast.patient, now=now - timedelta(minutes=1), start=start)
    until(lambda: ledger(cast.patient)[0].status == "due")
    assert [each.channel for each in deliveries(cast.patient)] == ["email"]


def test_the_sweep_goes_on_after_all_connections_were_cut(cast, sweeping):
    until(lambda: watch.readiness(now=clock.now())["beat"]["well"])
    for _ in range(3):
        with access.dispatching(), connections["dispatch"].cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user "
                "AND datname = current_database() AND pid <> pg_backend_pid()"
            )
        cut_at = clock.now()
        until(lambda at=cut_at: watch.readiness(now=at + timedelta(seconds=1))["beat"]["age_seconds"] < 1)
    assert sweeping.is_alive()


def test_the_first_round_of_the_sweep_is_at_once(database, monkeypatch):
    monkeypatch.setattr(watch, "SWEEP_SECONDS", 3600)
    thread = watch.start_sweeping()
    until(lambda: watch.readiness(now=clock.now())["beat"]["well"])
    thread.stop()


class Broken:
    """A connection that cannot even be closed."""

    def close(self):
        raise OSError("no such socket")


@pytest.mark.parametrize("error", [ValueError, SystemExit, GeneratorExit])
def test_nothing_that_a_round_raises_ends_the_watch(error):
    rounds = []

    def round_():
        rounds.append(1)
        connections["default"] = Broken()
        raise error

    thread = watch.Watch("tried", round_=round_, pause=0.01)
    thread.start()
    until(lambda: len(rounds) > 2)
    thread.stop()
    assert not thread.is_alive()


def test_readiness_tells_the_age_of_each_part_and_what_waits(cast):
    watch.beat(part="worker", now=DUE)
    watch.beat(part="beat", now=DUE - timedelta(minutes=1))
    check_in_rule(cast.patient)
    check_in_rule(cast.other_patient)
    told = watch.readiness(now=later(seconds=4))
    assert told["worker"] == {"well": True, "age_seconds": 4.0}
    assert told["beat"] == {"well": False, "age_seconds": 64.0}
    assert told["tick"] == {"well": False, "age_seconds": None}
    assert (told["backlog"]["due"], told["backlog"]["oldest_due_seconds"]) == (2, 4.0)
    claiming.claim(now=later(seconds=4))
    told = watch.readiness(now=later(seconds=5))
    assert (told["backlog"]["due"], told["backlog"]["pending"], told["backlog"]["oldest_pending_seconds"]) == (
        0,
        2,
        1.0,
    )


def test_a_delivery_that_was_never_confirmed_is_counted(cast):
    check_in_rule(cast.patient)
    claiming.claim(now=later(seconds=1))
    assert watch.readiness(now=later())["backlog"]["in_doubt"] == 0
    with access.maintaining("test"):
        Delivery.objects.filter(channel="email").update(status="unknown")
    assert watch.readiness(now=later())["backlog"]["in_doubt"] == 1


def test_a_sign_of_life_never_goes_back(database):
    watch.beat(part="worker", now=DUE)
    watch.beat(part="worker", now=DUE - timedelta(hours=1))
    assert [row.beat_at for row in Heartbeat.objects.using("owner").all()] == [DUE]
