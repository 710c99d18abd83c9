"""Workers keep their connections from task to task, and a connection that was cut costs nobody a reminder."""

import time
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connections

from backend.common import clock
from tests.cast import Cast
from tests.live import Stack
from tests.reminders.engine import check_in_rule, until

pytestmark = pytest.mark.stack

# Of the dispatcher's role, which may see and end its own.
_OTHERS = (
    "FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
)


def test_the_ticks_of_each_second_make_no_connections(stack: Stack) -> None:
    def made_meanwhile() -> set[int]:
        began, made = clock.now(), set()
        with connections["dispatch"].cursor() as cursor:
            while clock.now() - began < timedelta(seconds=3):
                cursor.execute(f"SELECT pid {_OTHERS} AND backend_start > %s", [began])
                made |= {pid for (pid,) in cursor.fetchall()}
                time.sleep(0.01)
        return made

    until(lambda: not made_meanwhile(), seconds=20)  # whoever has just started makes its first ones


def test_when_all_connections_are_cut_between_two_tasks_the_next_reminder_leaves(stack: Stack, cast: Cast) -> None:
    with connections["dispatch"].cursor() as cursor:
        cursor.execute(f"SELECT count(pg_terminate_backend(pid)) {_OTHERS} AND state = 'idle'")
        assert cursor.fetchone()[0] >= 3, "worker, reserved worker and beat hold theirs"
    now = clock.now()
    start = (now.astimezone(ZoneInfo(cast.patient.time_zone)) + timedelta(seconds=3)).replace(
        microsecond=0, tzinfo=None
    )
    check_in_rule(cast.patient, now=now, start=start)
    stack.wait_for(lambda: stack.mails_to(cast.patient.email), seconds=8)
