"""Pages without a browser: Django's client, and what the page says."""

from typing import Any

from django.test import Client
from lxml import html

from backend.accounts import access
from backend.accounts.lifetimes import FACTS
from backend.accounts.models import Person


def browser(person: Person | None = None) -> Client:
    """A client that is signed in as the person, second factor and all, or as nobody."""
    client = Client()
    if person is not None:
        with access.acting_as(person.id, None, "sign-in"):
            client.force_login(person)
        session = client.session
        session[FACTS] = {"second_factor": True}
        session.save()
    return client


def read(answer: Any) -> Any:
    """The page as a tree."""
    return html.fromstring(answer.content.decode())


def words(node: Any) -> str:
    """Everything that a part of the page says, on one line."""
    return " ".join(" ".join(node.itertext()).split())
