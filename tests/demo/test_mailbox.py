"""The demo's post office takes real mail over SMTP and shows its words."""

import os
import re
import smtplib
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from django.test import Client, override_settings
from django.urls import include, path

from backend.demo import mailbox
from backend.demo.mailbox import KEEP, Maildir

ROOT = Path(__file__).resolve().parents[2]
AT = datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
urlpatterns = [path("demo/", include("backend.demo.urls"))]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def office(tmp_path):
    """A running mailbox: (port, its folder, the process)."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "backend.demo.mailbox"],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "EMAIL_URL": f"smtp://127.0.0.1:{port}", "LOCAL_DIR": str(tmp_path)},
    )  # fmt: skip
    assert process.stdout.readline() == f"ready on 127.0.0.1:{port}\n"
    yield port, Maildir(tmp_path / "mail"), process
    process.terminate()
    assert process.wait(10) == 0
    process.stdout.close()


def letter(subject="Appointment", text="Tuesday, 17:00.\n", html=None):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "Afterglow <reminders@afterglow.invalid>", "a@demo.example", subject
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
    return mail


def test_a_mail_sent_over_smtp_is_kept_whole(office):
    port, maildir, _ = office
    with smtplib.SMTP("127.0.0.1", port) as line:
        line.send_message(letter(subject="A reminder: नमस्ते", text="Line one.\n.dotted\n", html="<p>Hello</p>"))
    (mail,) = maildir.newest(10)
    assert (mail.to, mail.subject) == ("a@demo.example", "A reminder: नमस्ते")
    assert mail.text.splitlines() == ["Line one.", ".dotted"]
    assert mail.html.strip() == "<p>Hello</p>"
    assert abs(datetime.now(UTC) - mail.at) < timedelta(minutes=1)  # noqa: TID251


def test_its_log_names_nobody(office):
    port, _, process = office
    with smtplib.SMTP("127.0.0.1", port) as line:
        line.send_message(letter(subject="secret words"))
    assert process.stdout.readline() == "mail 1 kept\n"


def test_the_newest_come_first_and_only_the_newest_500_are_kept(office):
    port, maildir, _ = office
    with smtplib.SMTP("127.0.0.1", port) as line:
        for number in range(KEEP + 3):
            line.send_message(letter(subject=f"mail {number}"))
    assert len(maildir.keys()) == KEEP
    assert [mail.subject for mail in maildir.newest(2)] == [f"mail {KEEP + 2}", f"mail {KEEP + 1}"]


def test_nobody_else_on_the_machine_may_look_in(office):
    _, maildir, _ = office
    assert oct(maildir.folder.stat().st_mode & 0o777) == "0o700"


def test_a_taken_port_is_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = _run(tmp_path, f"smtp://127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


def test_mail_for_another_machine_is_left_alone(tmp_path):
    done = _run(tmp_path, "smtp://mail.example.org:25")
    assert done.returncode == 1
    assert "not needed" in done.stderr


def _run(tmp_path, url):
    return subprocess.run(
        [sys.executable, "-m", "backend.demo.mailbox"],
        cwd=ROOT, text=True, capture_output=True, timeout=20, check=False,
        env={**os.environ, "EMAIL_URL": url, "LOCAL_DIR": str(tmp_path)},
    )  # fmt: skip


def test_it_starts_without_django_and_fast(tmp_path):
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", "import sys, backend.demo.mailbox; print('django' in sys.modules)"],
        cwd=ROOT, text=True, capture_output=True, timeout=20, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "False"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("key", ["", "..", "../../env", "0" * 16, f"{'0' * 16}.000001/../x", "a\x00b"])
def test_only_names_of_mails_are_read(tmp_path, key):
    maildir = Maildir(tmp_path / "mail")
    maildir.make()
    assert maildir.read(key) is None


@pytest.fixture
def pages(tmp_path, database):
    """(client, maildir) with the demo's pages switched on."""
    maildir = Maildir(tmp_path / "mail")
    maildir.make()
    with override_settings(
        LOCAL_DIR=tmp_path,
        ROOT_URLCONF=__name__,
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [ROOT / "backend/demo/templates"],
                "OPTIONS": {"context_processors": []},
            }
        ],
    ):
        yield Client(), maildir


def test_the_page_lists_the_newest_first_and_looks_again(pages):
    client, maildir = pages
    for number in range(3):
        maildir.add(letter(subject=f"mail {number}").as_bytes(), at=AT + timedelta(seconds=number), number=number)
    answer = client.get("/demo/mail")
    text = answer.content.decode()
    assert re.findall(r"mail \d", text) == ["mail 2", "mail 1", "mail 0"]
    assert 'http-equiv="refresh"' in text
    assert "21:00:02" in text  # in Mumbai
    assert "style=" not in text
    assert "<script" not in text


def test_an_empty_mailbox_says_so(pages):
    client, _ = pages
    assert "No mail yet" in client.get("/demo/mail").content.decode()


def test_one_mail_shows_its_words_and_keeps_its_html_in_a_closed_frame(pages):
    client, maildir = pages
    wicked = "<p>Hello</p><script>alert(1)</script>"
    key = maildir.add(letter(text="See http://127.0.0.1/r/1 <b>", html=wicked).as_bytes(), at=AT, number=1)
    answer = client.get(f"/demo/mail/{key}")
    text = answer.content.decode()
    assert '<a href="http://127.0.0.1/r/1"' in text
    assert "&lt;b&gt;" in text
    assert "alert(1)" not in text
    assert "<iframe sandbox title" in text
    framed = client.get(f"/demo/mail/{key}/html")
    policy = framed["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert framed["X-Frame-Options"] == "SAMEORIGIN"


@pytest.mark.parametrize("ending", ["nothing", f"{'1' * 16}.000001", f"{'1' * 16}.000001/html"])
def test_an_unknown_mail_is_404(pages, ending):
    client, _ = pages
    assert client.get(f"/demo/mail/{ending}").status_code == 404


def test_a_mail_in_a_broken_character_set_is_shown_all_the_same(tmp_path):
    maildir = Maildir(tmp_path / "mail")
    maildir.make()
    key = maildir.add(b"Subject: x\r\nContent-Type: text/plain; charset=nonsense\r\n\r\nhello \xff", at=AT, number=1)
    assert mailbox.Maildir(tmp_path / "mail").read(key).text.startswith("hello")
