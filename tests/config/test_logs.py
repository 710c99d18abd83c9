"""What is logged names the request and no person."""

import logging
import subprocess
import sys

from tests.databases import ROOT

SCRIPT = """
import django, logging, os
os.environ["DJANGO_SETTINGS_MODULE"] = "backend.config.settings"
django.setup()
def fail(token):
    raise ValueError("no")
try:
    fail("secret-canary-value")
except ValueError:
    logging.getLogger("django.request").exception("failed")
"""


def test_a_traceback_shows_no_values_of_variables() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "ValueError: no" in done.stderr
    assert "secret-canary-value" not in done.stderr.replace('fail("secret-canary-value")', "")


def test_the_mail_librarys_own_log_of_addresses_is_off() -> None:
    assert logging.getLogger("mail.log").getEffectiveLevel() >= logging.WARNING
