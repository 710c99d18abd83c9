"""The demo's post office: takes every mail that is sent and keeps the newest 500 as a Maildir in LOCAL_DIR/mail.

Run as `python -m backend.demo.mailbox`. Needs no Django, delivers nothing to anybody, and prints one line when it is
ready and one for each mail, without addresses or words of it.
"""

import asyncio
import contextlib
import logging
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from aiosmtpd.smtp import SMTP, Envelope, Session

from backend.common import clock

KEEP = 500
MOST_BYTES = 5 * 1024 * 1024
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"^(?P<at>\d{16})\.(?P<number>\d{6})$")


class Mail(NamedTuple):
    """One mail as it is shown; `html` is None where the mail has only text."""

    key: str
    at: datetime
    to: str
    sender: str
    subject: str
    text: str
    html: str | None


class Maildir:
    """The folder; a mail is written aside and moved in, so a reader never sees half of one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self) -> None:
        """Creates what is missing; nobody else on the machine may look in."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("tmp", "new", "cur"):
            (self.folder / name).mkdir(exist_ok=True, mode=0o700)

    def keys(self) -> list[str]:
        """The names of all mails, newest first."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(filter(_NAME.match, os.listdir(self.folder / "new")), reverse=True)
        return []

    def add(self, content: bytes, *, at: datetime, number: int) -> str:
        """Stores one mail and returns its name, made of the instant in microseconds and a number."""
        key = f"{(at - _EPOCH) // timedelta(microseconds=1):016d}.{number % 1_000_000:06d}"
        aside = self.folder / "tmp" / key
        aside.write_bytes(content)
        aside.rename(self.folder / "new" / key)
        return key

    def drop(self, key: str) -> None:
        """Removes one mail, if it is still there."""
        (self.folder / "new" / key).unlink(missing_ok=True)

    def read(self, key: str) -> Mail | None:
        """One mail; None when there is none of that name."""
        found = _NAME.match(key)
        if not found:
            return None
        try:
            content = (self.folder / "new" / key).read_bytes()
        except FileNotFoundError:
            return None
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)  # noqa: S101 - what this policy makes
        return Mail(
            key=key,
            at=_EPOCH + timedelta(microseconds=int(found["at"])),
            to=str(mail.get("X-Envelope-To") or mail.get("To", "")),
            sender=str(mail.get("From", "")),
            subject=str(mail.get("Subject", "")).strip(),
            text=_part(mail, "plain") or "",
            html=_part(mail, "html"),
        )

    def newest(self, count: int) -> Iterator[Mail]:
        """The newest mails."""
        for key in self.keys()[:count]:
            if mail := self.read(key):
                yield mail


def _part(mail: EmailMessage, kind: str) -> str | None:
    body = mail.get_body((kind,))
    if body is None:
        return None
    try:
        return str(body.get_content())
    except (LookupError, UnicodeError):  # a character set that nobody knows
        return (body.get_payload(decode=True) or b"").decode("utf-8", "replace")  # type: ignore[union-attr]


class Clerk:
    """What the SMTP server asks for each mail."""

    def __init__(self, maildir: Maildir) -> None:
        self.maildir = maildir
        self.kept = deque(reversed(maildir.keys()))
        self.number = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Stores the mail and forgets the oldest."""
        content = envelope.content or b""
        to = ", ".join(re.sub(r"[\r\n]", " ", address) for address in envelope.rcpt_tos)
        head = f"X-Envelope-To: {to}\r\n".encode("ascii", "replace")
        self.number += 1
        self.kept.append(
            self.maildir.add(head + (content if isinstance(content, bytes) else content.encode()), at=clock.now(),
                             number=self.number)
        )  # fmt: skip
        while len(self.kept) > KEEP:
            self.maildir.drop(self.kept.popleft())
        print(f"mail {self.number} kept", flush=True)
        return "250 OK kept in the demo's mailbox"


def local_dir() -> Path:
    """The clone's folder for what belongs to this machine."""
    return Path(os.environ.get("LOCAL_DIR") or Path(__file__).resolve().parents[2] / ".local")


def address(local: Path) -> tuple[str, int]:
    """Host and port of EMAIL_URL, from the environment or from the file `env`. Raises ValueError."""
    url = os.environ.get("EMAIL_URL", "")
    if not url and (local / "env").is_file():
        lines = (line.partition("=") for line in (local / "env").read_text().splitlines())
        url = next((value.strip() for key, _, value in lines if key == "EMAIL_URL"), "")
    parts = urlsplit(url or "smtp://127.0.0.1:1025")
    if parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
        raise ValueError("EMAIL_URL does not lie on this machine; the demo's mailbox is not needed then")
    return parts.hostname, parts.port or 25


async def serve(*, host: str, port: int, maildir: Maildir) -> None:
    """Takes mails until the process is told to stop."""
    maildir.make()
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # aiosmtpd's own tells every address
    clerk, loop, stop = Clerk(maildir), asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    options: dict[str, Any] = {"hostname": "demo.invalid", "data_size_limit": MOST_BYTES, "enable_SMTPUTF8": True}
    server = await loop.create_server(lambda: SMTP(clerk, loop=loop, **options), host, port)
    print(f"ready on {host}:{port}", flush=True)
    await stop.wait()
    server.close()


def main() -> int:
    """Runs until stopped; what is in the way of a start is one line."""
    try:
        local = local_dir()
        host, port = address(local)
        asyncio.run(serve(host=host, port=port, maildir=Maildir(local / "mail")))
    except (OSError, ValueError) as error:
        print(f"mailbox: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
