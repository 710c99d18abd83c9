"""What is logged names the request and no person."""

import logging
import os
import subprocess
import sys
from pathlib import Path

from tests.databases import ROOT

SCRIPT = """
import django, logging, os
os.environ["DJANGO_SETTINGS_MODULE"] = "backend.config.settings"
django.setup()
def fail(token):
    raise ValueError("no " + token)
try:
    fail(chr(99) + "anary")
except ValueError:
    logging.getLogger("django.request").exception("failed")
"""


def test_a_traceback_shows_neither_messages_nor_values_of_variables(tmp_path: Path) -> None:
    script = tmp_path / "fails.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=True)
    assert "ValueError" in done.stderr
    assert 'raise ValueError("no " + token)' in done.stderr, "the frame is there"
    assert "canary" not in done.stderr, "the message and the variables are not"


def test_the_mail_librarys_own_log_of_addresses_is_off() -> None:
    assert logging.getLogger("mail.log").getEffectiveLevel() >= logging.WARNING
