"""Pages without a browser: Django's client, and what the page says."""

from typing import Any

from django.test import Client
from lxml import html

from backend.accounts import access
from backend.accounts.models import Person


def browser(person: Person | None = None) -> Client:
    """A client that is signed in as the person, or as nobody."""
    client = Client()
    if person is not None:
        with access.acting_as(person.id, None, "sign-in"):
            client.force_login(person)
    return client


def read(answer: Any) -> Any:
    """The page as a tree."""
    return html.fromstring(answer.content.decode())


def words(node: Any) -> str:
    """Everything that a part of the page says, on one line."""
    return " ".join(" ".join(node.itertext()).split())
