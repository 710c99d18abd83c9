"""The auditor: a watcher outside hears from it while all is well, and only then."""

import threading
import uuid
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from django.test import Client as Browser

from backend.accounts import access, chain
from backend.common import clock
from backend.reminders import auditor, chains, claiming, escalation, watch
from backend.reminders.auditor import Auditor
from backend.reminders.escalation import Step
from backend.reminders.models import Delivery, Reminder
from backend.reminders.planning import About
from tests.reminders.engine import DUE, check_in_rule, later


class Watcher:
    """A watcher outside that notes who asked, over real HTTP."""

    def __init__(self):
        self.asked, self.answer = [], 200
        watcher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                watcher.asked.append(self.path)
                self.send_response(watcher.answer)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def watcher(settings):
    watcher = Watcher()
    settings.HEARTBEAT_URL = f"http://127.0.0.1:{watcher.server.server_port}/of-this-test"
    yield watcher
    watcher.server.shutdown()
    watcher.server.server_close()


@pytest.fixture
def judge(cast):
    """An auditor that has been there for a while, with the set-up's events in the chain."""
    chain.seal()
    return Auditor(began_at=DUE - timedelta(hours=1))


def all_live(now):
    for part in watch.PARTS:
        watch.beat(part=part, now=now)


def test_the_watcher_is_told_while_all_is_well_and_metrics_say_so(judge, watcher):
    now = clock.now()
    all_live(now)
    assert judge.round(now=now) == []
    assert watcher.asked == ["/of-this-test"]
    assert "afterglow_auditor_well 1.0" in Browser().get("/metrics").content.decode()


def test_nobody_is_told_when_a_part_is_silent(judge, watcher):
    watch.beat(part="worker", now=DUE)
    watch.beat(part="beat", now=DUE)
    assert judge.round(now=later(seconds=5))[-1] == "tick is silent"
    assert watcher.asked == []
    assert "afterglow_auditor_well 0.0" in Browser().get("/metrics").content.decode()


@pytest.mark.parametrize(("reminder_class", "well_for", "late_after"), [("habit", 60, 61), ("safety", 10, 11)])
def test_nobody_is_told_when_the_oldest_due_is_late(cast, judge, watcher, reminder_class, well_for, late_after):
    check_in_rule(cast.patient)
    chain.seal()
    with access.maintaining("test"):
        Reminder.objects.update(reminder_class=reminder_class)
    all_live(later(seconds=well_for))
    assert judge.round(now=later(seconds=well_for)) == []
    assert judge.round(now=later(seconds=late_after)) == [f"{reminder_class} waits for {late_after} s"]
    assert len(watcher.asked) == 1


def test_nobody_is_told_when_what_was_claimed_is_not_sent(cast, judge, watcher):
    check_in_rule(cast.patient)
    chain.seal()
    claiming.claim(now=later())
    all_live(later(seconds=90))
    assert judge.round(now=later(seconds=90)) == ["habit waits for 90 s"]
    with access.maintaining("test"):
        Delivery.objects.filter(status="pending").update(status="sent")
    assert judge.round(now=later(seconds=90)) == []


def test_nobody_is_told_when_a_chain_of_people_stands_still(cast, judge, watcher):
    with access.acting_as(cast.patient.id, cast.clinic.id, "test"):
        escalation.open(
            person=cast.patient,
            clinic_id=cast.clinic.id,
            purpose="alert",
            about=About("alert", uuid.uuid4()),
            steps=[Step([cast.nurse.id], 10)],
            now=DUE,
        )
    claiming.claim(now=DUE)
    chain.seal()
    all_live(later(minutes=10, seconds=31))
    assert judge.round(now=later(minutes=10, seconds=29)) == []
    assert judge.round(now=later(minutes=10, seconds=31)) == ["1 chains of people stand still"]
    chains.go_on(now=later(minutes=10, seconds=31))
    claiming.claim(now=later(minutes=10, seconds=31))
    assert judge.round(now=later(minutes=10, seconds=31)) == []


def test_nobody_is_told_when_the_audit_chain_is_not_sealed(cast, judge, watcher):
    all_live(later(seconds=30))
    cast.client(cast.patient).send("GET", "me")
    check_in_rule(cast.patient, now=DUE)
    assert judge.round(now=later()) == []
    assert judge.round(now=later(seconds=30)) == ["the audit chain is not sealed"]
    chain.seal()
    assert judge.round(now=later(seconds=30)) == []


def test_at_its_start_nothing_is_judged_yet(database, watcher):
    assert Auditor(began_at=DUE).round(now=later(seconds=29)) == []
    assert watcher.asked == []


def test_a_watcher_that_refuses_or_is_away_stops_nothing(judge, watcher, settings):
    watcher.answer = 500
    all_live(DUE)
    assert judge.round(now=DUE) == []
    assert not auditor.ping()
    settings.HEARTBEAT_URL = "http://127.0.0.1:9/nobody"
    assert judge.round(now=DUE) == []
    with pytest.raises(requests.ConnectionError):
        requests.get(settings.HEARTBEAT_URL, timeout=1)


def test_without_an_address_nobody_is_asked(judge, settings):
    settings.HEARTBEAT_URL = ""
    assert not auditor.ping()
