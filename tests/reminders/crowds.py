"""Hundreds of patients with reminders due in this moment, the two receivers that count, and the balance afterwards."""

import asyncio
import json
import re
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiosmtpd.controller import Controller
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from backend.accounts.consent_texts import BUILT_IN
from backend.accounts.models import Person
from backend.common import clock
from tests.cast import JOINED, Cast
from tests.live import free_port
from tests.reminders.faults import VAPID, Site
from tests.reminders.receivers import PushService, Reply, b64

PEOPLE = 100
_MESSAGE_ID = re.compile(rb"(?im)^message-id:\s*<([0-9a-f-]{36})@")

_PEOPLE = """
INSERT INTO accounts_person (id, email, full_name, time_zone, locale, country, sex_at_birth, channels, created_at,
  password)
SELECT id, id || '@faults.example', 'Faults', 'Asia/Kolkata', 'en', 'IN', 'undisclosed', '["push", "email"]',
  %(joined)s, '!'
FROM unnest(%(people)s::uuid[]) AS id
"""
_MEMBERS = """
INSERT INTO accounts_membership (id, person_id, clinic_id, role, since_at)
SELECT gen_random_uuid(), id, %(clinic)s, 'patient', %(joined)s FROM unnest(%(people)s::uuid[]) AS id
"""
_TEAM = """
INSERT INTO accounts_careteammember (id, clinic_id, patient_id, member_id, since_at)
SELECT gen_random_uuid(), %(clinic)s, id, %(member)s, %(joined)s FROM unnest(%(people)s::uuid[]) AS id
"""
_CONSENTS = """
INSERT INTO accounts_consentrecord (patient_id, clinic_id, purpose, act, version, language, text_sha256, recorded_at)
SELECT id, %(clinic)s, purpose, 'agreed', %(version)s, 'en', repeat('0', 64), %(joined)s
FROM unnest(%(people)s::uuid[]) AS id CROSS JOIN unnest(ARRAY['care', 'messages_push', 'messages_email']) AS purpose
"""
_DEVICES = """
INSERT INTO accounts_device (id, person_id, platform, agent, address, push, app_version, locale, time_zone, seen_at)
SELECT gen_random_uuid(), id, 'web', '', '', push::jsonb, '', '', '', %(joined)s
FROM unnest(%(people)s::uuid[], %(pushes)s::text[]) AS v(id, push)
"""
_COUNTERS = "INSERT INTO accounts_patientcounter (patient_id, value) SELECT unnest(%(people)s::uuid[]), 1"
# Each day at the second at which it is due now.
_RULES = """
INSERT INTO reminders_rule (id, person_id, clinic_id, purpose, about_type, title, rrule, start_local, offsets,
  time_zone, follows_person, channels, window_minutes, version, created_at, updated_at)
SELECT gen_random_uuid(), (%(people)s::uuid[])[1 + n %% cardinality(%(people)s::uuid[])], %(clinic)s, 'check_in', '',
  '', 'FREQ=DAILY', date_trunc('second', %(due)s + n * (%(spread)s::interval / %(count)s)) AT TIME ZONE 'Asia/Kolkata',
  '[]', 'Asia/Kolkata', true, jsonb_build_array(%(channel)s::text), 150, 1, %(made)s, %(made)s
FROM generate_series(0, %(count)s - 1) n
"""
_LEDGER = """
INSERT INTO reminders_reminder (id, rule_id, person_id, clinic_id, purpose, reminder_class, about_type, due_at, send_at,
  expires_at, status, reason, version, change_number, created_at, updated_at)
SELECT gen_random_uuid(), r.id, r.person_id, r.clinic_id, r.purpose, 'habit', '', at, at,
  at + interval '150 minutes', 'planned', '', 1, 1, %(made)s, %(made)s
FROM (SELECT *, start_local AT TIME ZONE time_zone AS at FROM reminders_rule
      WHERE created_at = %(made)s AND channels = jsonb_build_array(%(channel)s::text)) r
"""
_REMINDERS = """
SELECT r.rule_id, r.id, r.status, r.reason, r.due_at FROM reminders_reminder r JOIN reminders_rule s ON s.id = r.rule_id
WHERE s.created_at = %s
"""
_DELIVERIES = """
SELECT d.reminder_id, d.id, d.channel, d.attempt, d.status, d.error FROM reminders_delivery d
JOIN reminders_reminder r ON r.id = d.reminder_id JOIN reminders_rule s ON s.id = r.rule_id WHERE s.created_at = %s
"""
_LEFT = """
SELECT status, channel, reminder_class, count(*), min(try_at)::text, max(changed_at)::text, min(lease_ends_at)::text
FROM reminders_delivery WHERE status IN ('pending', 'leased', 'sending') GROUP BY 1, 2, 3
"""
_OPEN = """
SELECT (SELECT count(*) FROM reminders_reminder r JOIN reminders_rule s ON s.id = r.rule_id
        WHERE s.created_at = %(made)s AND (r.status = 'due' OR (r.status = 'planned' AND r.due_at <= %(last)s))),
       (SELECT count(*) FROM reminders_delivery WHERE status IN ('pending', 'leased', 'sending'))
"""


class Strikes:
    """What is to happen when the n-th message is taken, before its sender hears of it: the worst of all moments."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[tuple[int, Callable[[], None]]] = []
        self.errors: list[BaseException] = []
        self.taken, self.struck = 0, 0

    def plan(self, acts: Sequence[Callable[[], None]], *, among: int) -> None:
        """The acts in turn, evenly among so many messages."""
        self.taken = self.struck = 0
        self.errors.clear()
        self._planned = [(among * place // (len(acts) + 1), act) for place, act in enumerate(acts, start=1)]

    @property
    def left(self) -> int:
        """How many are still to come."""
        return len(self._planned)

    def one_more(self) -> None:
        """One was taken."""
        with self._lock:
            self.taken += 1
            due = [action for count, action in self._planned if count <= self.taken]
            self._planned = [each for each in self._planned if each[0] > self.taken]
            for action in due:
                try:
                    action()
                    self.struck += 1
                except BaseException as error:  # it is the test's thread that tells of it
                    self.errors.append(error)


class Mailroom:
    """A mail server that remembers how often it took each delivery."""

    def __init__(self) -> None:
        self.taken: Counter[uuid.UUID] = Counter()
        self.strikes, self.port = Strikes(), free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Takes it; a strike falls before the answer."""
        found = _MESSAGE_ID.search(envelope.content)
        assert found is not None
        self.taken[uuid.UUID(found[1].decode())] += 1
        await asyncio.to_thread(self.strikes.one_more)
        return "250 OK"

    def stop(self) -> None:
        """Ends it."""
        self._controller.stop()


class Phones(PushService):
    """A push service and its phones: what comes again with the tag of one that is shown takes its place."""

    def __init__(self) -> None:
        key = ec.derive_private_key(int.from_bytes(VAPID), ec.SECP256R1()).public_key()
        point = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        super().__init__(b64(point))
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # senders die here
        self.strikes = Strikes()
        self._counting = threading.Lock()
        self.at: dict[uuid.UUID, datetime] = {}

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Takes it; a strike falls before the answer."""
        with self._counting:  # pushes come side by side
            before = len(self.taken)
            reply = super().take(path, headers, body)
            taken = self.taken[before:]
        for each in taken:
            self.at.setdefault(uuid.UUID(each.payload["reminder"]), clock.now())
            self.strikes.one_more()
        return reply

    def shown(self) -> tuple[Counter[uuid.UUID], Counter[uuid.UUID]]:
        """How many notifications of each reminder stand on the screen, and how often each came."""
        tags = {
            (each.path, each.payload["tag"], each.headers["Topic"], each.payload["reminder"]) for each in self.taken
        }
        came = Counter(uuid.UUID(each.payload["reminder"]) for each in self.taken)
        return Counter(uuid.UUID(reminder) for *_, reminder in tags), came


@dataclass
class Balance:
    """What the ledger and the receivers say after all is over; `told` in one line."""

    claimed: int = 0
    sent: int = 0
    unknown: int = 0
    retried: int = 0
    lost: int = 0
    twice_by_mail: int = 0
    twice_on_a_screen: int = 0
    replaced: int = 0
    in_doubt: set[uuid.UUID] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    @property
    def told(self) -> str:
        """The figures."""
        return (
            f"claimed {self.claimed}, sent {self.sent}, unknown {self.unknown}, retried {self.retried}, "
            f"lost {self.lost}, twice by mail {self.twice_by_mail}, twice on a screen {self.twice_on_a_screen}, "
            f"pushes that took an earlier one's place {self.replaced}"
        )


def reach(site: Site, person: Person, phones: Phones) -> None:
    """The person has a phone, and wants pushes and mails."""
    wanted = 'UPDATE accounts_person SET channels = \'["push", "email"]\' WHERE id = ANY(%(people)s)'
    pushes = [json.dumps(phones.subscribe().push)]
    site.fill([_DEVICES, wanted], {"people": [person.id], "pushes": pushes, "joined": JOINED})


class Crowd:
    """Some of the patients of a clinic, and what is due to them in the next seconds."""

    def __init__(self, site: Site, cast: Cast, phones: Phones) -> None:
        self._site, self._cast = site, cast
        self.people = [uuid.uuid4() for _ in range(PEOPLE)]
        browsers = [phones.subscribe() for _ in self.people]
        self._values = {
            "people": self.people,
            "pushes": [json.dumps(each.push) for each in browsers],
            "clinic": cast.clinic.id,
            "member": cast.psychiatrist.id,
            "joined": JOINED,
            "version": max(words.version for words in BUILT_IN),
        }
        site.fill([_PEOPLE, _MEMBERS, _TEAM, _CONSENTS, _DEVICES, _COUNTERS], self._values)
        self.made = self.last = clock.now()
        self.count = 0

    def has_due(self, *, spread: timedelta, **counts: int) -> None:
        """So many habit reminders through each channel become due in a second, over a span."""
        self.made = clock.now()
        due = self.made + timedelta(seconds=1)
        self.last, self.count = due + spread, sum(counts.values())
        for channel, count in counts.items():
            if count:
                values = {"channel": channel, "count": count, "due": due, "spread": spread, "made": self.made}
                self._site.fill([_RULES, _LEDGER], values | self._values)

    def left(self) -> list[Any]:
        """What is on its way, for who wonders why."""
        return self._site.ask(_LEFT)

    def waiting(self) -> int:
        """How many are claimed and wait for a sender."""
        return sum(status == "pending" for *_, status, _ in self._site.ask(_DELIVERIES, [self.made]))

    def open(self) -> int:
        """How much is still on its way."""
        values = {"made": self.made, "last": self.last}
        return sum(self._site.ask(_OPEN, values)[0])

    def balance(self, mailroom: Mailroom, phones: Phones) -> Balance:
        """Compares what the ledger says with what arrived."""
        found, all_planned, reminders = Balance(), Counter[uuid.UUID](), {}
        for rule, reminder, status, reason, due_at in self._site.ask(_REMINDERS, [self.made]):
            if status == "planned":
                all_planned[rule] += 1
                if due_at <= self.last:
                    found.wrong.append(f"{reminder} was never claimed")
            else:
                reminders[reminder] = (rule, status, reason)
        rules = Counter(rule for rule, *_ in reminders.values())
        found.claimed = len(reminders)
        if set(rules.values()) != {1} or rules != all_planned or len(rules) != self.count:
            found.wrong.append(f"{len(rules)} rules, not each with one claimed and one planned: {self.count}")
        ended, failed = self._deliveries(found)
        shown, came = phones.shown()
        mails = Counter[uuid.UUID]()
        for reminder, (_, status, reason) in reminders.items():
            channel_and_ids = ended[reminder]
            if len(channel_and_ids) != 1:
                found.wrong.append(f"{reminder} has {len(channel_and_ids)} ended deliveries")
                continue
            channel, delivery, state = channel_and_ids[0]
            mails[reminder] = sum(mailroom.taken[id] for id in (delivery, *failed[reminder]))
            arrived = mails[reminder] if channel == "email" else came[reminder]
            if state == "unknown":
                found.in_doubt.add(reminder)
            elif not arrived:
                found.lost += 1
            if (status, reason) != ("sent", "unconfirmed" if state == "unknown" else ""):
                found.wrong.append(f"{reminder} is {status} {reason}, its delivery {state}")
        found.unknown, found.sent = len(found.in_doubt), len(reminders) - len(found.in_doubt)
        found.twice_by_mail = sum(count - 1 for count in mails.values() if count > 1)
        found.twice_on_a_screen = sum(shown[id] - 1 for id in reminders if shown[id] > 1)
        found.replaced = sum(came[id] - 1 for id in reminders if came[id] > 1)
        return found

    def _deliveries(self, found: Balance) -> tuple[dict[uuid.UUID, list[Any]], dict[uuid.UUID, list[uuid.UUID]]]:
        ended: dict[uuid.UUID, list[Any]] = {}
        failed: dict[uuid.UUID, list[uuid.UUID]] = {}
        for reminder, delivery, channel, attempt, status, error in self._site.ask(_DELIVERIES, [self.made]):
            ended.setdefault(reminder, [])
            failed.setdefault(reminder, [])
            if status in {"sent", "unknown"}:
                ended[reminder].append((channel, delivery, status))
                continue
            found.retried += 1
            failed[reminder].append(delivery)
            if status != "failed" or not error:
                found.wrong.append(f"delivery {delivery}, attempt {attempt}, is {status} without a reason")
        return ended, failed
