"""A real SMTP server and receivers of pushes and text messages on loopback, for the tests of the engine."""

from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.test import Client as Browser

from backend.reminders.channels import breakers, fcm, webpush
from tests.cast import Cast
from tests.live import free_port
from tests.reminders import mailbox
from tests.reminders.engine import check_in_rule
from tests.reminders.receivers import Firebase, Gateway, PushService, b64


class Post:
    """A post office that takes every mail, or refuses it, or its sender, with the answer that a test wants.

    With `hangs_up` it closes the connection after each mail; an empty answer is one that is never given.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answer = self.sender_answer = self.recipient_answer = "250 OK"
        self.hangs_up = False

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        """Takes the sender, or not."""
        if self.sender_answer.startswith("250"):
            envelope.mail_from = address
        return self.sender_answer

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        """Takes the recipient, or not."""
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

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


@pytest.fixture(autouse=True)
def all_providers_are_well() -> None:
    """What failed in another test is forgotten."""
    breakers.forget()
    fcm.forget()


@pytest.fixture
def push_service(settings: Any) -> Iterator[PushService]:
    """A Web Push service for browsers that subscribed with this installation's key."""
    settings.VAPID_PRIVATE_KEY, settings.VAPID_SUBJECT = b64(bytes(range(1, 33))), "mailto:reminders@afterglow.invalid"
    settings.PUSH_TO_LOOPBACK = True
    service = PushService(webpush.public_key() or "")
    yield service
    service.stop()


@pytest.fixture
def firebase(settings: Any) -> Iterator[Firebase]:
    """FCM for this installation's service account."""
    service = Firebase()
    settings.FCM_SERVICE_ACCOUNT, settings.FCM_URL = service.account, service.url
    yield service
    service.stop()


@pytest.fixture
def gateway(settings: Any) -> Iterator[Gateway]:
    """A gateway for text messages."""
    service = Gateway()
    settings.SMS_URL, settings.SMS_ACCOUNT, settings.SMS_TOKEN = service.messages_url, service.account, service.token
    settings.SMS_FROM, settings.SMS_IDEMPOTENCY_HEADER = "+15005550006", ""
    yield service
    service.stop()


@pytest.fixture
def browser() -> Browser:
    """A browser that has never been here, and a server that asks for the CSRF token wherever one is needed."""
    return Browser(enforce_csrf_checks=True)


@pytest.fixture
def mail(cast: Cast, post: Post) -> EmailMessage:
    """The mail about the day's check-in, as it arrived."""
    check_in_rule(cast.patient)
    return mailbox.sent(post)
