"""What each protection costs on the way of a write and of a read: isolation, history, audit, chain, each and together.

`python -m bench.protections [--rounds 9] [--calls 40]`. Whole requests inside one process (sign-in, roles, door, view,
commit), in one database, in turns: each turn switches protections on or off as the database's owner and makes the same
calls. Medians in milliseconds, and the ratio to none of them. The chain is sealed each second by a thread beside.
"""

import argparse
import contextlib
import gc
import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from statistics import median
from typing import Any

from bench import stage
from bench.ingest import people

AIM = 1.6  # GOALS.md: together
PROTECTIONS = ("isolation", "history", "audit", "chain")
NOTHING: frozenset[str] = frozenset()
SETS = [
    NOTHING,
    *(frozenset({name}) for name in PROTECTIONS[:3]),
    frozenset({"audit", "chain"}),
    frozenset(PROTECTIONS),
]


class Switches:
    """Turns protections on and off in the database."""

    def __init__(self) -> None:
        from django.db import connections

        self.owner = connections["owner"]
        with self.owner.cursor() as cursor:
            cursor.execute(
                "SELECT relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace"
            )
            self.closed = [row[0] for row in cursor.fetchall()]
            cursor.execute(
                "SELECT tgrelid::regclass::text, tgname, p.proname FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid "
                "WHERE NOT tgisinternal AND (tgname LIKE 'pgtrigger_%' OR p.proname LIKE 'audit_%')"
            )
            self.triggers = cursor.fetchall()
            cursor.execute("SELECT pg_get_functiondef('audit_write'::regproc)")
            self.write = cursor.fetchone()[0]

    def set(self, wanted: frozenset[str]) -> None:
        """Exactly these are on; the chain is a thread's matter."""
        with self.owner.cursor() as cursor:
            for table in self.closed:
                cursor.execute(f"ALTER TABLE {table} {'EN' if 'isolation' in wanted else 'DIS'}ABLE ROW LEVEL SECURITY")
            for table, name, function in self.triggers:
                on = ("audit" if function.startswith("audit_") else "history") in wanted
                cursor.execute(f"ALTER TABLE {table} {'EN' if on else 'DIS'}ABLE TRIGGER {name}")
            cursor.execute(self.write if "audit" in wanted else self._silent())

    def _silent(self) -> str:
        """The function that tells reads, with nothing in it."""
        head, _, rest = self.write.partition("AS $")
        delimiter = "$" + rest.partition("$")[0] + "$"
        return f"{head}AS {delimiter} BEGIN RETURN; END {delimiter}"


@contextlib.contextmanager
def sealing(on: bool) -> Iterator[None]:
    """The chain is sealed each second meanwhile, as beat does."""
    over = threading.Event()

    def seal() -> None:
        from django.db import connections

        from backend.accounts import chain

        while not over.wait(1):
            chain.seal()
        connections.close_all()

    thread = threading.Thread(target=seal)
    if on:
        thread.start()
    yield
    over.set()
    if on:
        thread.join()


def works(tokens: list[str], patients: list[str]) -> dict[str, Callable[[], Any]]:
    """The calls, each on a patient of its own choice."""
    from django.test import Client

    from backend.common import clock

    dice = random.Random(7)  # noqa: S311

    def send(verb: str, path: str, body: Any = None, *, who: int) -> Any:
        answer = Client(SERVER_NAME="localhost").generic(
            verb, f"/api/v1/{path}", json.dumps(body) if body is not None else "", content_type="application/json",
            HTTP_AUTHORIZATION=f"Bearer {tokens[who]}", SERVER_NAME="localhost",
        )  # fmt: skip
        if answer.status_code not in {200, 201}:
            raise SystemExit(f"{verb} {path}: {answer.status_code} {answer.content!r}")
        return answer

    def check_in(mood: int) -> dict[str, Any]:
        at = clock.now() - timedelta(minutes=dice.randrange(500_000))
        return {
            "felt_at": at.isoformat(),
            "time_zone": "Asia/Kolkata",
            "mood": mood,
            "note": "Ordinary day. Work was fine.",
        }

    known: list[tuple[str, int]] = []

    def put() -> None:
        id, who = str(uuid.uuid4()), dice.randrange(len(tokens))
        send("PUT", f"mood-check-ins/{id}", check_in(5), who=who)
        known.append((id, who))

    def change() -> None:
        id, who = dice.choice(known)
        send("PUT", f"mood-check-ins/{id}", check_in(dice.randrange(11)), who=who)

    def batch() -> None:
        records = [{"id": str(uuid.uuid4()), **check_in(5)} for _ in range(200)]
        send("POST", "mood-check-ins/batch", {"records": records}, who=dice.randrange(len(tokens)))

    def page() -> None:
        send("GET", "mood-check-ins?limit=100", who=dice.randrange(len(tokens)))

    def trend() -> None:
        send("GET", "me/trend?days=730", who=dice.randrange(len(tokens)))

    return {"one new by PUT": put, "one changed by PUT": change, "batch of 200": batch, "page of 100": page,
            "own trend, 730 days": trend}  # fmt: skip


def measure(given: argparse.Namespace) -> dict[str, dict[frozenset[str], list[float]]]:
    """Milliseconds of each call, by work and by what was on."""
    patients, tokens = people(8)
    todo = works(tokens, patients)
    switches = Switches()
    for _ in range(3):  # some history to read, and everything warm
        for work in todo.values():
            work()
    found: dict[str, dict[frozenset[str], list[float]]] = {name: {on: [] for on in SETS} for name in todo}
    for turn in range(given.rounds):
        order = SETS[turn % len(SETS) :] + SETS[: turn % len(SETS)]
        for on in order:
            switches.set(on)
            with sealing("chain" in on):
                for name, work in todo.items():
                    work()
                    gc.collect()
                    for _ in range(max(1, given.calls // (8 if "200" in name else 1))):
                        begun = time.perf_counter()
                        work()
                        found[name][on].append((time.perf_counter() - begun) * 1000)
    switches.set(frozenset(PROTECTIONS))
    return found


def main() -> None:
    """Measures and prints."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=9, help="turns through all combinations")
    options.add_argument("--calls", type=int, default=40, help="calls of each work in a turn")
    given = options.parse_args()
    with stage.database():
        print(f"protections: {given.rounds} turns of {given.calls} calls each; {stage.machine()}")
        found = measure(given)
    rows = []
    for name, by_set in found.items():
        bare = median(by_set[NOTHING])
        cells = [f"{median(by_set[on]):.2f} ({median(by_set[on]) / bare:.2f} x)" for on in SETS[1:]]
        rows.append((name, f"{bare:.2f}", *cells))
    names = [" + ".join(name for name in PROTECTIONS if name in on) for on in SETS[1:-1]]
    print(stage.table(("ms, medians", "none", *names, f"all (aim {AIM} x)"), rows))


if __name__ == "__main__":
    main()
