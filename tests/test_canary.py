"""The canary: what people write into every field is found in no log, no message, no metric and nowhere in Redis."""

import base64
import contextlib
import re
import socket
import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import requests
from django.conf import settings
from django.db import connections
from redis import Redis

from backend.accounts import access
from backend.accounts.models import Person
from backend.common import clock
from backend.interop import retention
from tests.canaries import STEM, Canaries, Contract, Operation
from tests.cast import PASSWORD, Cast
from tests.live import Stack, run_stack
from tests.reminders.receivers import Gateway

pytestmark = [pytest.mark.slow, pytest.mark.stack]
# A mail may say which clinic it comes from, how to call it and when (DOMAIN.md); everything else stays in the app.
MAY_STAND_IN_MAIL = re.compile(r"^[A-Z]+ /api/v1/clinics/\S+ (name|short_name|phone)$")
# Raised by the database with the whole row in its words, as a bug of ours might.
TELL_TALE = """
CREATE FUNCTION tell_tale() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'cannot take %', NEW; END $$;
"""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """Where text messages go."""
    gateway = Gateway()
    yield gateway
    gateway.stop()


@pytest.fixture
def stack(django_db_setup: str, cast: Cast, tmp_path: Path, gateway: Gateway) -> Iterator[Stack]:
    """All parts, telling as much as they ever do."""
    sms = {"SMS_URL": gateway.messages_url, "SMS_ACCOUNT": gateway.account, "SMS_TOKEN": gateway.token}
    with run_stack(django_db_setup, tmp_path, LOG_LEVEL="DEBUG", SMS_FROM="+15005550006", **sms) as stack:
        yield stack


class Listener(threading.Thread):
    """All that is said to Redis while it listens, in the numbered database of the stack."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        parts = urlsplit(url)
        self.number = parts.path.strip("/")
        self.line = socket.create_connection((parts.hostname, parts.port))
        self.line.sendall(f"AUTH {parts.password}\r\nMONITOR\r\n".encode())
        self.heard = b""

    def run(self) -> None:
        """Until the connection is closed."""
        with contextlib.suppress(OSError):
            while block := self.line.recv(65536):
                self.heard += block

    def told(self) -> str:
        """The commands, and what is packed in them."""
        self.line.shutdown(socket.SHUT_RDWR)
        self.join(5)
        self.line.close()
        lines = self.heard.decode(errors="replace").splitlines()
        return unpacked("\n".join(line for line in lines if f" [{self.number} " in line))


def unpacked(text: str) -> str:
    """The text, and behind it what stands in it as base64: the bodies of Celery's messages."""
    parts = [text]
    for packed in set(re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", text)):
        with contextlib.suppress(ValueError):
            parts.append(base64.b64decode(packed, validate=True).decode(errors="replace"))
    return "\n".join(parts)


def stored_in_redis(url: str) -> str:
    """Every key with its value."""
    readers = {
        "string": lambda r, k: r.get(k),
        "list": lambda r, k: r.lrange(k, 0, -1),
        "set": lambda r, k: r.smembers(k),
        "zset": lambda r, k: r.zrange(k, 0, -1, withscores=True),
        "hash": lambda r, k: r.hgetall(k),
        "stream": lambda r, k: r.xrange(k),
    }
    with Redis.from_url(url) as redis:
        return unpacked("\n".join(f"{k!r} {readers[redis.type(k).decode()](redis, k)!r}" for k in redis.scan_iter()))


class Driver:
    """Sends canaries wherever the contract takes something, as everyone of the cast."""

    def __init__(self, stack: Stack, cast: Cast) -> None:
        now = clock.now()
        self.stack, self.cast, self.canaries = stack, cast, Canaries()
        everyone = ("patient", "psychiatrist", "administrator")
        self.tokens = {who: cast.client(getattr(cast, who)).token for who in everyone}
        self.known: dict[str, Any] = {
            "an instant": (now - timedelta(hours=2)).isoformat(),
            "asleep_at": (now - timedelta(hours=9)).isoformat(),
            "awake_at": (now - timedelta(hours=1)).isoformat(),
            "starts_at": (now + timedelta(hours=30)).isoformat(),
            "sent_at": now.isoformat(), "ended_at": None, "session": None, "base_version": None,
            "day": str(now.date() - timedelta(days=1)), "night_of": str(now.date() - timedelta(days=1)),
            "time_zone": "Asia/Kolkata", "patient": str(cast.patient.id), "member": str(cast.nurse.id),
            "with": str(cast.psychiatrist.id), "rrule": "FREQ=DAILY", "exdates": [], "care_team": [],
            "start": (now + timedelta(days=1)).isoformat(timespec="seconds"), "role": "patient",
            "channels": ["email"], "until_done": None, "until": None, "minutes_asleep": None, "country": "IN",
            "locale": "en", "id": str(uuid.uuid4()),
            "since": None, "endpoint": None, "keys": None,
            "quiet_from": None, "quiet_until": None,
        }  # fmt: skip
        self.contract = Contract(self.canaries, self.known)
        self.ids: dict[str, str] = {}
        self.statuses: dict[str, set[int]] = {}

    def send(self, who: str, verb: str, path: str, **more: Any) -> requests.Response:
        """One request; `who` may be nobody."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who in self.tokens else {}
        headers |= {"User-Agent": self.canaries.word("User-Agent"), "Referer": f"https://{STEM}00000q.example.org/"}
        headers |= more.pop("headers", {})
        return requests.request(verb, self.stack.base_url + path, headers=headers, timeout=20, **more)

    def fill(self, operation: Operation) -> None:
        """The operation with every field filled, by everyone until somebody may."""
        for who in (*self.tokens, "nobody"):
            path = self._path(operation)
            body, headers = self.contract.body(operation), {"Content-Type": operation.media_type}
            if operation.verb == "PUT" and "id" in body:
                body["id"] = path.rpartition("/")[2]
            answer = self.send(who, operation.verb, path, json=body, headers=headers)
            self.statuses.setdefault(operation.name, set()).add(answer.status_code)
            assert answer.status_code < 500, (operation.name, who, answer.text)
            if answer.ok and operation.verb == "PUT":
                self.ids[operation.path.partition("{")[0]] = path.rpartition("/")[2]
            if answer.ok:
                break

    def agree_again(self) -> None:
        """New words of the clinic, or a withdrawal: without an agreement nothing would be stored."""
        for asked in self.send("patient", "GET", "/api/v1/consents").json()["results"]:
            answer = self.send(
                "patient", "POST", f"/api/v1/consents/{asked['purpose']}/agree", json={"version": asked["version"]}
            )
            assert answer.ok, answer.text

    def _path(self, operation: Operation) -> str:
        start = operation.path.partition("{")[0]
        if operation.path.endswith("/break-glass"):
            return operation.path.replace("{id}", str(self.cast.unassigned_patient.id))
        if start == "/api/v1/patients/":
            here = operation.path.replace("{id}", str(self.cast.patient.id))
            if "{annotation}" in here and (operation.verb == "PUT" or "annotation" not in self.ids):
                self.ids["annotation"] = str(uuid.uuid4())
            return here.replace("{annotation}", self.ids.get("annotation", ""))
        if start == "/api/v1/consents/":
            return operation.path.replace("{purpose}", "care")
        if start == "/api/v1/retention-rules/":
            return operation.path.replace("{kind}", next(iter(retention.kinds())))
        if start == "/api/v1/clinics/":
            return operation.path.replace("{id}", str(self.cast.clinic.id))
        if start == "/api/v1/reminders/":
            found = self.send("patient", "GET", "/api/v1/reminders").json()["results"]
            self.ids[start] = next(reminder["id"] for reminder in found if reminder["status"] == "planned")
        id = str(uuid.uuid4()) if operation.verb == "PUT" else self.ids.get(start, str(uuid.uuid4()))
        return re.sub(r"\{[^}]+\}", id, operation.path)

    def stray(self) -> int:
        """Canaries where no field is: addresses, parameters, headers, broken bodies. Returns how many requests."""
        word, sent = self.canaries.word, 0
        lists = [path for path, verbs in self.contract.document["paths"].items() if "get" in verbs and "{" not in path]
        for path in [*lists, "/", "/sign-in", f"/patients/{self.cast.patient.id}"]:
            for name in ("find", "patient", "since", "cursor", "limit", "status", "kind", "next", word("a name")):
                assert self.send("psychiatrist", "GET", f"{path}?{name}={word(f'{path}?{name}')}").status_code < 500
                sent += 1
        for path in ("/{}", "/api/v1/{}", "/api/v1/patients/{}", "/api/v1/appointments/{}", "/patients/{}", "/demo/{}"):
            assert self.send("psychiatrist", "GET", path.format(word(path))).status_code < 500
            sent += 1
        for name in ("Authorization", "Cookie", "X-Clinic", "If-Match", "X-Forwarded-For", "Accept-Language", "Host"):
            value = {"Authorization": "Bearer {}", "Cookie": "sessionid={}"}.get(name, "{}").format(word(name))
            assert self.send("patient", "GET", "/api/v1/me", headers={name: value}).status_code < 500
            assert self.send("nobody", "GET", "/", headers={name: value}, allow_redirects=False).status_code < 500
            sent += 2
        for body in (b'{"note": "%s', b'["%s"]', b'{"mood": "%s"}', b"\xff%s", b'{"%s": 1}', b"%s=1"):
            for path in (f"/api/v1/mood-check-ins/{uuid.uuid4()}", "/api/v1/auth/app/v1/auth/login"):
                verb = "PUT" if "mood" in path else "POST"
                content = body % word(f"{verb} {path} broken").encode()
                headers = {"Content-Type": "application/json"}
                assert self.send("patient", verb, path, data=content, headers=headers).status_code < 500
                sent += 1
        return sent

    def sign_in(self) -> None:
        """Wrong and right passwords, an unknown address, a forgotten password, an invitation that nobody sent."""
        for path in ("/api/v1/auth/app/v1/auth/login", "/sign-in"):
            for email in (self.cast.patient.email, self.canaries.address("an unknown address")):
                body = {"email": email, "login": email, "password": self.canaries.word("a wrong password")}
                self.send("nobody", "POST", path, json=body)
        right = {"email": self.cast.nurse.email, "password": PASSWORD}
        assert self.send("nobody", "POST", "/api/v1/auth/app/v1/auth/login", json=right).ok
        for email in (self.cast.nurse.email, self.canaries.address("a forgotten password")):
            self.send("nobody", "POST", "/api/v1/auth/app/v1/auth/password/request", json={"email": email})


@contextlib.contextmanager
def tell_tale_on(table: str, event: str) -> Iterator[None]:
    """While it lasts the database refuses these rows, and quotes them in its words."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"{TELL_TALE} CREATE TRIGGER a_tell_tale BEFORE {event} ON {table} "
                       "FOR EACH ROW EXECUTE FUNCTION tell_tale()")  # fmt: skip
    try:
        yield
    finally:
        with connections["owner"].cursor() as cursor:
            cursor.execute("DROP FUNCTION tell_tale() CASCADE")


def test_what_people_write_is_found_nowhere_but_in_the_database(stack: Stack, cast: Cast, gateway: Gateway) -> None:
    driver = Driver(stack, cast)
    canaries = driver.canaries
    with access.maintaining("test"):
        for person in (cast.patient, cast.psychiatrist):
            Person.objects.filter(id=person.id).update(full_name=canaries.word("a name"), born_on="1961-07-23")
    database_log = Path(settings.LOCAL_DIR) / "log/postgres.log"
    logged_before = database_log.stat().st_size
    listener = Listener(stack.redis_url)
    listener.start()

    for operation in [*driver.contract.operations()]:
        driver.fill(operation)
        if "/consent" in operation.path:
            driver.agree_again()
        if operation.path == "/api/v1/me/phone":
            driver.known["code"] = re.findall(r"\d{6}", gateway.texts[-1]["Body"])[0]
    strays = driver.stray()
    driver.sign_in()
    read_back = driver.send("patient", "GET", "/api/v1/mood-check-ins").text
    assert canaries.found_in(read_back), "they are in the database, and the search finds them where they are"

    # What was filled in about reminders (other channels, none at all) is taken back.
    usual = {"channels": ["email"], "reminder_choices": None, "quiet_from": None, "quiet_until": None}
    assert driver.send("patient", "PATCH", "/api/v1/me", json=usual).status_code == 200
    # A series of the patient's own that is due in a moment, with what it is about in its title.
    soon = (clock.now() + timedelta(seconds=4)).isoformat(timespec="seconds")
    own = {"title": canaries.word("the title of a reminder"), "rrule": "FREQ=DAILY", "start": soon}
    assert driver.send("patient", "PUT", f"/api/v1/reminder-rules/{uuid.uuid4()}", json=own).status_code == 201

    # An error of ours, in web and in worker and beat, whose words quote the row.
    check_in = next(o for o in driver.contract.operations() if o.name == "PUT /api/v1/mood-check-ins/{id}")
    with tell_tale_on("aftercare_moodcheckin", "INSERT"):
        body = driver.contract.body(check_in)
        failed = driver.send("patient", "PUT", f"/api/v1/mood-check-ins/{body['id']}", json=body)
        assert (failed.status_code, failed.json()["code"]) == (500, "server_error")
        assert not canaries.found_in(failed.text)
    with tell_tale_on("accounts_outboxmail", "UPDATE"):
        invited = {"email": canaries.address("an invitation"), "full_name": canaries.word("whom"), "role": "nurse"}
        assert driver.send("administrator", "POST", "/api/v1/invitations", json=invited).status_code == 201
        stack.wait_for(lambda: "RaiseException" in (stack.logs / "worker.log").read_text() or None)
    # The mail that was in the way leaves at last, and the reminder.
    stack.wait_for(lambda: stack.mails_to(invited["email"]), seconds=60)
    stack.wait_for(lambda: [m for m in stack.mails_to(cast.patient.email) if "reminder" in m.subject], seconds=60)

    searched = {f"{log.name}": log.read_text() for log in stack.logs.glob("*.log")}
    with database_log.open() as file:
        file.seek(logged_before)
        searched["postgres.log"] = file.read()
    searched["metrics"] = driver.send("nobody", "GET", "/metrics").text
    searched["readyz"] = driver.send("nobody", "GET", "/readyz").text
    searched["text messages"] = str(gateway.texts)
    searched["Redis, all that was said to it"] = listener.told()
    searched["Redis, all keys"] = stored_in_redis(stack.redis_url)
    mails = [stack.mail.read(key) for key in stack.mail.keys()]  # noqa: SIM118 - a mail folder, no dict
    hits = {place: found for place, text in searched.items() if (found := canaries.found_in(unquote(text)))}
    for mail in mails:
        assert mail is not None
        assert not canaries.found_in(mail.subject), mail.subject
        written = canaries.found_in(mail.text + (mail.html or "") + mail.sender)
        if bad := {word: where for word, where in written.items() if not MAY_STAND_IN_MAIL.match(where)}:
            hits[f"mail {mail.subject!r}"] = bad
    taken = [name for name, statuses in driver.statuses.items() if min(statuses) < 300]
    sizes = ", ".join(f"{place} {len(text) // 1024} kB" for place, text in searched.items())
    print(
        f"canary: {len(canaries.put)} values, {len(driver.statuses)} writable operations ({len(taken)} took them), "
        f"{strays} strays; searched {sizes}, {len(mails)} mails: {sum(map(len, hits.values()))} hits"
    )
    print("refused:", {name: sorted(s) for name, s in driver.statuses.items() if name not in taken})
    assert not hits
    assert "RaiseException P0001" in searched["web.log"], "the error was told, without its words"
    assert all(searched[place] for place in ("Redis, all that was said to it", "metrics"))
    ours = [name for name in driver.statuses if "/auth/" not in name]
    assert len([name for name in taken if "/auth/" not in name]) >= 0.8 * len(ours), "the rest never met the database"
