"""A real SMTP server on loopback for the tests of the engine."""

from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from tests.live import free_port


class Post:
    """A post office that takes every mail, or refuses it, or its sender, with the answer that a test wants.

    With `hangs_up` it closes the connection after each mail; an empty answer is one that is never given.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answer = self.sender_answer = "250 OK"
        self.hangs_up = False

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        """Takes the sender, or not."""
        if self.sender_answer.startswith("250"):
            envelope.mail_from = address
        return self.sender_answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Keeps the mail if it was taken."""
        if self.answer.startswith("250"):
            self.mails.append(BytesParser(policy=default).parsebytes(envelope.content))
        if self.hangs_up:
            if self.answer:
                await server.push(self.answer)
            server.transport.close()
        return self.answer


@pytest.fixture
def post(settings: Any) -> Iterator[Post]:
    """The post office, where Django's mail settings point to it."""
    post, port = Post(), free_port()
    controller = Controller(post, hostname="127.0.0.1", port=port)
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    yield post
    controller.stop()
