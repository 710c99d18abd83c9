"""The contract holds for whatever a client may send: no answer of 500, none that the document does not describe."""

import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from backend.accounts import tokens
from backend.common import clock
from tests.cast import Cast
from tests.live import App

pytestmark = pytest.mark.slow

FULL = bool(os.environ.get("TORTURE"))
CI = os.environ.get("CI") == "true"
EXAMPLES = 60 if FULL else 2
CONFIG = Path(__file__).with_name("schemathesis.toml")
ALL_PHASES = "examples,coverage,fuzzing,stateful"


@pytest.mark.parametrize("who", ["patient", "psychiatrist", "administrator"])
def test_no_request_finds_a_gap_in_the_contract(live_app: App, cast: Cast, who: str) -> None:
    token = tokens.issue(person=getattr(cast, who), now=clock.now(), lifetime=timedelta(hours=1))
    # The coverage phase tries each bound of each field: a minute for a role, so one role in CI and all in the torture.
    phases = ALL_PHASES if FULL or (CI and who == "patient") else "examples,fuzzing,stateful"
    header = f"Authorization: Bearer {token}"
    _run(live_app, "--exclude-path-regex", "/auth/", "--checks", "all", "--phases", phases, "-H", header)


def test_no_request_to_sign_in_breaks_the_server(live_app: App, cast: Cast) -> None:
    # allauth's own shapes: their conformance is its project's affair, a 500 would be ours.
    _run(live_app, "--include-path-regex", "/auth/", "--checks", "not_a_server_error", "--phases", ALL_PHASES)


def _run(app: App, *options: str) -> None:
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG),
        "run", f"{app.base_url}/api/schema/", "--workers", "1", "--max-examples", str(EXAMPLES), "--seed", "20261124",
        "--request-timeout", "20", "--no-color", "--generation-database", "none", "--suppress-health-check", "all",
        *options,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    summary = done.stdout[done.stdout.rfind("SUMMARY") :]
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
    cases = re.search(r"(\d[\d,]*) generated", summary)
    print(f"schemathesis {' '.join(options[:2])}: {cases[0] if cases else summary}")
