"""Workers keep their connections from task to task, and one that was cut between two tasks costs none of them."""

import time
from datetime import datetime, timedelta

import pytest
from celery.signals import task_failure, task_prerun
from django.db import OperationalError, connections

import backend.config.celery  # noqa: F401 - the signals
from backend.accounts import access
from backend.common import clock
from backend.reminders.models import Heartbeat
from tests.live import Stack
from tests.reminders.engine import until


@pytest.mark.stack
def test_the_ticks_of_each_second_make_no_connections(stack: Stack) -> None:
    def quiet() -> bool:
        began, made = clock.now(), set()
        with connections["dispatch"].cursor() as cursor:
            while clock.now() - began < timedelta(seconds=3):
                # Of the dispatcher's role, which sees its own.
                cursor.execute(
                    "SELECT pid FROM pg_stat_activity "
                    "WHERE datname = current_database() AND usename = current_user AND backend_start > %s",
                    [began],
                )
                made |= {pid for (pid,) in cursor.fetchall()}
                time.sleep(0.01)
        return not made and ticked(began + timedelta(seconds=1))

    until(quiet, seconds=20)  # whoever has just started makes its first ones


def ticked(since: datetime) -> bool:
    with access.dispatching("readiness"):
        return Heartbeat.objects.using("dispatch").filter(part="tick", beat_at__gte=since).exists()


def ask() -> None:
    with access.dispatching("test"), connections["dispatch"].cursor() as cursor:
        cursor.execute("SELECT 1")


def cut() -> None:
    pid = connections["dispatch"].connection.info.backend_pid
    other = connections.create_connection("dispatch")
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other.close()


def test_a_connection_that_was_cut_between_two_tasks_is_made_anew_before_the_next(database: str) -> None:
    ask()
    cut()
    task_prerun.send(sender=None)
    ask()
    cut()
    with pytest.raises(OperationalError):  # in the midst of a task it costs this task
        ask()


def test_a_task_that_fails_leaves_no_connection_to_the_next(database: str) -> None:
    ask()
    task_failure.send(sender=None)
    assert connections["dispatch"].connection is None
    ask()
