"""`make run`: servers, migrations, demo clinic and all parts of the program as one process tree, ready in seconds."""

import errno
import fcntl
import gc
import http.client
import json
import os
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from backend.config import home, keeper, note_keys, parts, processes
from backend.config.home import CannotStart
from backend.config.supervise import Part, Supervisor, say

READY_SECONDS = 90.0
STOP_ORDER = ["web", "beat", "worker", "urgent", "mailbox"]


def run(local: Path, *, needs: list[str]) -> None:
    """Run the demo until Ctrl-C; `needs` are the embedded servers that it wants."""
    original = dict(os.environ)
    home.prepare(local)
    one = only_one(local)
    port = port_wanted()
    (local / "demo.json").unlink(missing_ok=True)
    processes.end_leftovers(local / "demo.pids")
    held = load_and_start(local, needs=needs, port=port, original=original)
    gc.collect()
    gc.freeze()  # the forks then share the memory of what is loaded
    supervisor = Supervisor(record=local / "demo.pids", close_in_children=[one])
    try:
        serve(supervisor, local=local, port=port)
    finally:
        supervisor.stop_all(order=STOP_ORDER)
        (local / "demo.json").unlink(missing_ok=True)
        if held is not None:
            os.close(held)
            keeper.wait_for_end(local)
        say("setup", "stopped; nothing is left running")


def load_and_start(local: Path, *, needs: list[str], port: int, original: dict[str, str]) -> int | None:
    """Load the program while the servers start; answers the descriptor that keeps the servers."""
    before = home.read_env(local)
    mail = keeper.port_of(before.get("EMAIL_URL"))
    home.write_env(
        local,
        DEMO="True",
        SECRET_KEY=home.secret(local, "secret_key"),
        NOTE_KEYS_FILE=note_keys.made(local),
        VAPID_PRIVATE_KEY=home.secret(local, "vapid_private_key"),
        BASE_URL=f"http://127.0.0.1:{port}",
        EMAIL_URL=f"smtp://127.0.0.1:{home.free_port(preferred=mail)}",
    )
    with ThreadPoolExecutor(1) as beside:
        starting = beside.submit(keeper.use, local, needs=needs) if needs else None
        early = all(keeper.KEYS[name] in before for name in needs)
        if starting is not None and not early:
            starting.result()
        expected = home.read_env(local)
        here = {"PORT": str(port), "LOCAL_DIR": str(local), "RATE_LIMITS": "off"}
        for key, value in {**expected, **here}.items():
            os.environ.setdefault(key, value)
        load()
        held = starting.result() if starting is not None else None
    if home.read_env(local) != expected:
        say("setup", "the servers took other ports than last time; loading once more")
        os.execve(sys.executable, [sys.executable, "-m", "backend.config.stack", "run"], original)  # noqa: S606
    return held


def load() -> None:
    """Load the program; a setting that is wrong is one line."""
    from django.core.exceptions import ImproperlyConfigured

    try:
        parts.load_for_forks()
    except ImproperlyConfigured as error:
        raise CannotStart(str(error)) from error


def serve(supervisor: Supervisor, *, local: Path, port: int) -> None:
    """Set the database up, start the parts, wait until all report ready, publish the sign-ins, and run on."""
    from backend.config import setup

    first = finish(supervisor, supervisor.start("setup", lambda: setup.prepare(demo=True), once=True))
    if supervisor.asked_to_stop():
        return
    if first.code == setup.DISK_FULL:
        raise home.disk_full(local)
    if first.code != 0:
        raise CannotStart("the database could not be set up; the lines above say why")
    for name in ("web", "worker", "urgent", "beat", *(["mailbox"] if has_mailbox() else [])):
        supervisor.start(name, partial(parts.run, name))
    reading, writing = os.pipe()
    people = supervisor.start("setup", lambda: setup.write_people(writing), once=True)
    os.close(writing)
    wait_until_ready(supervisor, port=port)
    finish(supervisor, people)
    with os.fdopen(reading) as pipe:
        found = json.loads(pipe.read() or "{}")
    if supervisor.asked_to_stop():
        return
    if people.code != 0:
        raise CannotStart("the demo's sign-ins could not be made; the lines above say why")
    publish(local, people=found)
    while not supervisor.asked_to_stop():
        supervisor.turn(1)


def finish(supervisor: Supervisor, part: Part) -> Part:
    """Let the others run until this part has ended, or until somebody asks to stop."""
    while part.code is None and not supervisor.asked_to_stop():
        supervisor.turn()
    return part


def wait_until_ready(supervisor: Supervisor, *, port: int) -> None:
    """Return when /readyz says that database, workers and beat are well."""
    until = time.monotonic() + READY_SECONDS
    said = "web does not answer"
    while not supervisor.asked_to_stop():
        supervisor.turn(0.05)
        ready, said = readiness(port, before=said)
        if ready:
            return
        if time.monotonic() > until:
            raise CannotStart(f"not ready after {READY_SECONDS:.0f} s ({said}); the lines above say why")


def readiness(port: int, *, before: str) -> tuple[bool, str]:
    """Whether all parts are ready, and what is not, in the server's words."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        line.request("GET", "/readyz")
        answer = line.getresponse()
        body = answer.read(2000).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return False, before
    finally:
        line.close()
    try:
        return answer.status == 200 and json.loads(body).get("status") == "ok", body.strip()
    except (ValueError, AttributeError):
        return False, f"/readyz answers {answer.status}"


def publish(local: Path, *, people: dict[str, Any]) -> None:
    """Print where everything is and who may sign in; last of all write `.local/demo.json`."""
    base = os.environ["BASE_URL"]
    lines = ["", f"  Afterglow is ready: {base}", f"  {'interface':<16}{base}/api/docs/"]
    if people:
        lines += [
            f"  {'demo mail':<16}{base}/demo/mail",
            f"  {'demo codes':<16}{base}/demo/codes (the second step of staff)",
        ]
    lines.append("")
    for role, person in people.items():
        lines.append(f"  {role:<16}{person.get('email', ''):<42}{person.get('password', '')}")
    limits = os.environ.get("RATE_LIMITS", "on")
    lines += ["", f"  request limits  {limits}{' (RATE_LIMITS=on turns them on)' if limits == 'off' else ''}"]
    lines += [f"  tokens and addresses: {local / 'demo.json'}; Ctrl-C ends everything", ""]
    print("\n".join(lines), flush=True)
    demo = {
        "base_url": base,
        "database_url": os.environ["DATABASE_URL"],
        "redis_url": os.environ["REDIS_URL"],
        "people": people,
    }
    home.write_private(local / "demo.json", json.dumps(demo, indent=2) + "\n")


def has_mailbox() -> bool:
    """Whether this build has the demo's mailbox and the mail goes to this machine."""
    from importlib.util import find_spec

    return os.environ["EMAIL_URL"].startswith("smtp://127.0.0.1:") and find_spec("backend.demo.mailbox") is not None


def only_one(local: Path) -> int:
    """Hold the clone's demo lock; refuses a second `make run` beside a running one."""
    handle = home.lock(local / "demo", fcntl.LOCK_EX | fcntl.LOCK_NB)
    if handle is not None:
        return handle
    try:
        address = str(json.loads((local / "demo.json").read_text())["base_url"])
    except (OSError, ValueError, KeyError):
        address = "about to start"
    raise CannotStart(f"this clone's demo runs already ({address}): use it, or end it with Ctrl-C where it was started")


def port_wanted() -> int:
    """PORT, 8000 where it is not given; refuses what is no port and what something else listens on."""
    given = os.environ.get("PORT", "8000")
    if not given.isdigit() or not 0 < int(given) < 65536:
        raise CannotStart(f"PORT must be a number from 1 to 65535, not {given!r}")
    port = int(given)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            other = f"`make run PORT={port + 8000 if port < 1024 else port + 1}`"
            if error.errno == errno.EACCES:
                raise CannotStart(f"port {port} is for root only: {other}") from error
            raise CannotStart(f"port {port} is busy: end what listens there, or {other}") from error
    return port
