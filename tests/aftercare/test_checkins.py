"""A check-in settles the reminder of its day, and of no other."""

from datetime import datetime, timedelta

from backend.aftercare import checkins
from backend.common import clock
from tests.cast import Cast
from tests.reminders.engine import DUE, check_in_rule, door, later, ledger

MUMBAI = clock.zone("Asia/Kolkata")


def note(cast: Cast, felt_at: datetime, received_at: datetime) -> None:
    """What a stored check-in does beside its own row."""
    with door(cast.patient):
        checkins.settle(cast.patient, [{"felt_at": felt_at, "deleted_at": None}], received_at)


def test_a_phone_that_runs_ahead_just_before_midnight_settles_today_and_not_tomorrow(cast: Cast) -> None:
    check_in_rule(cast.patient)
    received_at = datetime(2026, 11, 24, 23, 58, tzinfo=MUMBAI)
    note(cast, received_at + timedelta(minutes=4), received_at)
    assert [(row.due_at, row.status) for row in ledger(cast.patient)] == [
        (DUE, "done"),
        (later(days=1), "planned"),
    ]


def test_a_check_in_that_comes_a_day_late_settles_the_day_on_which_it_was_felt(cast: Cast) -> None:
    check_in_rule(cast.patient)
    note(cast, DUE - timedelta(hours=1), DUE - timedelta(minutes=1))
    note(cast, later(hours=1), later(days=1, hours=-3))
    assert [(row.due_at, row.status) for row in ledger(cast.patient)] == [(DUE, "done"), (later(days=1), "planned")]
