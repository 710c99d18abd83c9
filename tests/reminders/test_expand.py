"""The command line expands series exactly as the engine does, one answer a line, and never stops at a bad one."""

import json
import subprocess
import sys

import pytest

from backend.reminders.expand import answers, expand


def asked(**changes):
    line = {"zone": "Asia/Kolkata", "rule": "FREQ=DAILY", "start": "2026-11-24T21:00:00", "limit": 2}
    return json.dumps(line | changes)


def test_instants_are_utc_ascending_and_limited():
    assert expand(asked()) == {"instants": ["2026-11-24T15:30:00Z", "2026-11-25T15:30:00Z"]}
    assert expand(asked(limit=0)) == {"instants": []}


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        "{}",
        "[" * 100_000,
        asked(zone="Mars/Base"),
        asked(zone=5),
        asked(rule="FREQ=SECONDLY"),
        asked(start="2026-11-24T21:00:00+05:30"),
        asked(start="0000-01-01T00:00"),
        asked(start="tomorrow"),
        asked(limit=-1),
        asked(limit=True),
    ],
)
def test_what_cannot_be_expanded_is_said(line):
    assert expand(line).keys() == {"error"}


def test_a_bad_line_does_not_stop_the_next_one():
    assert [sorted(json.loads(line)) for line in answers(["x", "", asked()])] == [["error"], ["instants"]]


def test_it_runs_as_a_program_without_settings_or_servers():
    command = [sys.executable, "-m", "backend.reminders.expand"]
    done = subprocess.run(command, input=f"{asked()}\n", capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"instants": ["2026-11-24T15:30:00Z", "2026-11-25T15:30:00Z"]}
