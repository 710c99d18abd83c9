"""Accounts' own mails: each attempt is on record before it is made, and no mail holds up another."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.mail.backends.base import BaseEmailBackend

from backend.accounts import access, outbox
from backend.accounts.models import OutboxMail
from backend.common import clock
from tests.cast import Cast
from tests.reminders.conftest import Post

LAST_WEEK = timedelta(days=7)
NO_ADDRESSES = (
    "john,doe@x.org", "x@example.org\n", f"x@{'d' * 70}.org", "x@exämple..org", "a..b@example.org", "x@exa mple.org",
)  # fmt: skip


def _put(recipient: str, *, subject: str = "s", text: str = "a secret code") -> OutboxMail:
    with access.maintaining("test"):
        return outbox.put(recipient=recipient, subject=subject, text=text, now=clock.now() - LAST_WEEK)


def _now(mail: OutboxMail) -> OutboxMail:
    with access.maintaining("test"):
        return OutboxMail.objects.get(id=mail.id)


@pytest.mark.parametrize("bad", NO_ADDRESSES)
def test_a_mail_that_cannot_leave_holds_up_no_other(cast: Cast, post: Post, bad: str) -> None:
    _put(bad)
    good = _put("good@example.org")
    assert outbox.send_due(now=clock.now()) >= 1
    assert _now(good).sent_at is not None


def test_an_address_or_header_that_can_never_work_is_given_up_at_once(cast: Cast, post: Post) -> None:
    mails = [_put("x@example.org\n"), _put("good@example.org", subject="two\nlines"), _put("x@exämple..org")]
    assert outbox.send_due(now=clock.now()) == 0
    for mail in map(_now, mails):
        assert (mail.attempts, mail.failed_at is not None, mail.text) == (1, True, "")


def test_a_recipient_whom_the_server_refuses_for_good_is_given_up_at_once(cast: Cast, post: Post) -> None:
    async def nobody(server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        return "550 5.1.1 no such mailbox"

    post.handle_RCPT = nobody  # type: ignore[attr-defined]
    mail = _put("nobody@example.org")
    outbox.send_due(now=clock.now())
    assert _now(mail).failed_at is not None


def test_a_server_that_says_later_is_tried_again_and_again_and_then_given_up(cast: Cast, post: Post) -> None:
    post.answer = "451 later"
    mail, now = _put("patient@example.org"), clock.now()
    for attempt in range(1, outbox.ATTEMPTS + 1):
        assert (_now(mail).attempts, _now(mail).failed_at) == (attempt - 1, None)
        assert outbox.send_due(now=now) == 0
        now = _now(mail).try_at
    assert (_now(mail).attempts, _now(mail).failed_at is not None) == (outbox.ATTEMPTS, True)


class Crash(BaseEmailBackend):
    """The process ends in the middle of the hand-over."""

    def send_messages(self, email_messages: Any) -> int:
        """Ends it."""
        raise SystemExit


def test_an_attempt_is_on_record_before_it_is_made(cast: Cast, settings: Any) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Crash"
    mail, now = _put("patient@example.org"), clock.now()
    with pytest.raises(SystemExit):
        outbox.send_due(now=now)
    assert (_now(mail).attempts, _now(mail).sent_at) == (1, None)
    assert _now(mail).try_at > now


def test_a_mail_that_left_keeps_its_row_and_not_its_text(cast: Cast, post: Post) -> None:
    mail = _put("patient@example.org")
    assert outbox.send_due(now=clock.now()) == 1
    assert "a secret code" in post.mails[0].get_content()
    assert (_now(mail).sent_at is not None, _now(mail).text, _now(mail).subject) == (True, "", "s")
    assert outbox.send_due(now=clock.now()) == 0
    assert len(post.mails) == 1


@pytest.mark.parametrize("bad", NO_ADDRESSES)
def test_nobody_is_invited_at_what_is_no_address(cast: Cast, bad: str) -> None:
    answer = cast.client(cast.administrator).send(
        "POST", "invitations", {"email": bad, "full_name": "New", "role": "nurse"}
    )
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/email"), answer.content
    with access.maintaining("test"):
        assert not OutboxMail.objects.exists()
