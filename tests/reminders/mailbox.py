"""What the tests do with mails that arrived: read their links, press their buttons, compare what changed."""

import re
from datetime import datetime
from email.message import EmailMessage
from typing import Any

from django.db import connection

from backend.accounts import access
from backend.accounts.models import Person
from backend.reminders import claiming, dispatch
from backend.reminders.models import Purpose, Rule
from tests.reminders.engine import DUE, door, later

OPENED = later(minutes=5)  # 21:05 in Mumbai


def sent(post: Any, at: datetime = DUE) -> EmailMessage:
    """The last mail after what was due has left."""
    claiming.claim(now=at)
    dispatch.deliver(now=at)
    mail: EmailMessage = post.mails[-1]
    return mail


def links_in(mail: EmailMessage) -> dict[str, str]:
    """The paths of the links, by what they are for; the same in both forms of the mail."""
    found: dict[str, str] = {}
    for form in ("plain", "html"):
        part = mail.get_body((form,))
        assert part is not None
        for act, rest in re.findall(r"/r/([a-z]+)\.([\w.-]+)", part.get_content()):
            assert found.setdefault(act, f"/r/{act}.{rest}") == f"/r/{act}.{rest}"
    return found


def contents() -> dict[str, Any]:
    """A fingerprint of every row of every table."""
    with access.maintaining("compare"), connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
        found = {}
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{table}" t')
            found[table] = cursor.fetchone()
        return found


def words(answer: Any) -> str:
    """The page without its marks."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def choices(person: Person) -> dict[str, Any]:
    """What the person chose for each purpose."""
    with door(person):
        chosen: dict[str, Any] = Person.objects.get(id=person.id).reminder_choices
        return chosen


def channels(person: Person, purpose: str = Purpose.CHECK_IN) -> list[str]:
    """The channels of the person's rule of this purpose."""
    with door(person):
        found: list[str] = Rule.objects.get(person=person, purpose=purpose).channels
        return found
