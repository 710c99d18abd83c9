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
# What libraries do: the error, its traceback and the task's arguments as text inside the message.
AS_LIBRARIES = """
import django, logging, os, sys, threading
os.environ["DJANGO_SETTINGS_MODULE"] = "backend.config.settings"
django.setup()
from django.test import RequestFactory
from django.utils.log import log_response
from django.http import HttpResponse
from celery.app.trace import LOG_FAILURE
from backend.config import logs
word = chr(99) + "anary"
error = ValueError("no " + word)
told = {"id": "1", "name": "t", "exc": repr(error), "traceback": word, "args": word, "kwargs": "", "description": "no"}
logging.getLogger("celery.app.trace").error(LOG_FAILURE, told, exc_info=(ValueError, error, None), extra={"data": told})
logging.getLogger("somebody.else").warning("could not: %s", error)
request = RequestFactory().get("/" + word)
log_response("%s: %s", "Server Error", request.path, response=HttpResponse(status=500), request=request)
for name in ("django.db.backends", "kombu", "asyncio"):
    logging.getLogger(name).debug("SELECT %s", word)
logs.quiet_hooks()
def fail():
    raise ValueError("no " + word)
thread = threading.Thread(target=fail); thread.start(); thread.join()
print("end", flush=True)
fail()
"""


def test_a_traceback_shows_neither_messages_nor_values_of_variables(tmp_path: Path) -> None:
    script = tmp_path / "fails.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=True)
    assert "ValueError" in done.stderr
    assert 'raise ValueError("no " + token)' in done.stderr, "the frame is there"
    assert "canary" not in done.stderr, "the message and the variables are not"


def test_neither_do_other_peoples_lines_at_any_level_nor_the_end_of_a_thread_or_process(tmp_path: Path) -> None:
    script = tmp_path / "fails.py"
    script.write_text(AS_LIBRARIES)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LOG_LEVEL": "DEBUG"}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "end\n"), done.stderr
    assert "Task t[1] no: ValueError" in done.stderr
    assert "could not: ValueError" in done.stderr
    assert "Server Error: /…" in done.stderr
    assert done.stderr.count("ended by an error") == 2
    assert "canary" not in done.stderr, done.stderr


def test_the_mail_librarys_own_log_of_addresses_is_off() -> None:
    assert logging.getLogger("mail.log").getEffectiveLevel() >= logging.WARNING
