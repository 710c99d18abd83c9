"""What a person is asked to agree to: the purposes, what each of them stops, and the words that we bring along.

The words are ours, plain and seen by no lawyer: a clinic publishes its own, and then only those count.
A version that was published is never edited; new words are a new version below.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from django.db import models


class Purpose(models.TextChoices):
    """What an agreement is for."""

    CARE = "care"
    MESSAGES_EMAIL = "messages_email"
    MESSAGES_PUSH = "messages_push"
    MESSAGES_SMS = "messages_sms"


@dataclass(frozen=True, slots=True)
class Words:
    """One document in one language; from `binding_at` on an agreement to an earlier version no longer holds."""

    purpose: Purpose
    version: int
    language: str
    title: str
    text: str
    published_at: datetime
    binding_at: datetime


# The one table of what needs an agreement: docs/decisions/016-rights.md shows it, a test compares the two, and each
# line is tested from end to end in tests/accounts/test_consents.py.
STOPS: Mapping[Purpose, str] = MappingProxyType(
    {
        Purpose.CARE: "No new entries are stored and none are edited; the phone keeps them and can send them later. "
        "Reading and deleting what is there, alerts and the record of the treatment go on.",
        Purpose.MESSAGES_EMAIL: "No reminder leaves by e-mail; reminders stay in the app's inbox.",
        Purpose.MESSAGES_PUSH: "No notification appears on a phone or browser; reminders stay in the app's inbox.",
        Purpose.MESSAGES_SMS: "No text message is sent; reminders stay in the app's inbox.",
    }
)


def for_channel(channel: str) -> Purpose:
    """The purpose that a message through this channel needs. Raises ValueError for a channel without a document."""
    return Purpose(f"messages_{channel}")


_FIRST = datetime(2026, 11, 1, tzinfo=UTC)

BUILT_IN = (
    Words(
        purpose=Purpose.CARE,
        version=1,
        language="en",
        title="Keeping your diary for your treatment",
        text="""What you write here (mood, sleep, exercise, food, substances, side effects, answers to questionnaires) \
is stored for your treatment at your clinic.

Who reads it: you, and the people of your care team. Nobody else at the clinic, no other clinic, no insurer and no \
company. You can see who opened your record.

What it is for: so that your care team notices early when you get worse, and plans your next steps with you. It is not \
watched around the clock. In an emergency call the emergency number or a crisis line; the app shows them.

Where it is: on the clinic's server. Your notes are stored encrypted.

You decide: you may say no, and you may change your mind at any time in the app, without giving a reason. Then nothing \
new is stored. What is there stays until you ask for its erasure; a warning that was given before stays open until \
your clinic has looked at it. Your treatment does not depend on your answer.""",
        published_at=_FIRST,
        binding_at=_FIRST,
    ),
    Words(
        purpose=Purpose.MESSAGES_EMAIL,
        version=1,
        language="en",
        title="Reminders by e-mail",
        text="""Your clinic may send you reminders by e-mail: of appointments, of a check-in, of a questionnaire.

The mails name the clinic's short name and the time, and nothing about your health. E-mail is not a sealed letter: \
your mail provider, and whoever can open your mailbox, can read it.

You decide: without your agreement reminders stay in the app's inbox. You may change your mind at any time; mails that \
left already cannot be taken back.""",
        published_at=_FIRST,
        binding_at=_FIRST,
    ),
    Words(
        purpose=Purpose.MESSAGES_PUSH,
        version=1,
        language="en",
        title="Notifications on your phone or browser",
        text="""Your clinic may send you reminders as notifications: of appointments, of a check-in, of a questionnaire.

They show the clinic's short name and the time, and nothing about your health. Whoever sees your screen can read them. \
They travel through the company that made your phone or browser (Google, Apple, Mozilla, Microsoft). To a browser they \
are sealed, so that the company cannot read them; to an app on a phone they are not, and the company learns when you \
are reminded.

You decide: without your agreement reminders stay in the app's inbox, and your device asks you besides. You may change \
your mind at any time.""",
        published_at=_FIRST,
        binding_at=_FIRST,
    ),
    Words(
        purpose=Purpose.MESSAGES_SMS,
        version=1,
        language="en",
        title="Reminders by text message",
        text="""Your clinic may send you reminders by text message (SMS) to the number that you confirmed.

They name the clinic's short name and the time, and nothing about your health. Text messages are not sealed: the \
company that sends them for your clinic, your phone company, and whoever holds your phone can read them.

You decide: without your agreement reminders stay in the app's inbox. You may change your mind at any time, in the app \
or by answering STOP; messages that left already cannot be taken back.""",
        published_at=_FIRST,
        binding_at=_FIRST,
    ),
)


def built_in(purpose: str) -> list[Words]:
    """Our own documents for a purpose, newest version first."""
    return sorted((words for words in BUILT_IN if words.purpose == purpose), key=lambda words: -words.version)
