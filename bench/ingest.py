"""Check-ins a second, one by one and in batches of 200: the database's limit, the naive way and ours, in turns.

`python -m bench.ingest [--seconds 4] [--rounds 3] [--clients 16]`. The limit is pgbench, prepared, which inserts the
same rows into a table of the same columns, checks and indexes without isolation, history and audit; the naive way
writes there too. Ours and the naive way answer over loopback, each on a granian with 2 workers x 4 threads, asked by 16
keep-alive clients of as many patients.
"""

import argparse
import json
import secrets
import subprocess
import sys
from datetime import timedelta
from statistics import median
from typing import Any

from bench import stage

BATCH = 200
# GOALS.md: share of the limit, and for batches how many times the naive way; p99 in milliseconds.
AIMS = {"one": "0.12 of the limit, p99 60 ms", "batch": "0.4 of the limit, 25 x naive"}
INSERT = """
\\set who random(1, {count})
INSERT INTO bench_moodcheckin (id, version, change_number, received_at, updated_at, patient_id, source, felt_at,
    time_zone, mood, anxiety, energy, tags, note)
SELECT gen_random_uuid(), 1, 1, now(), now(), ('{{{people}}}'::uuid[])[:who], 'patient',
    now() - n * interval '1 minute', 'Asia/Kolkata', 5, 5, 5, '{{walk}}', 'Ordinary day. Work was fine.'
FROM generate_series(1, {rows}) AS n;
"""


def people(count: int) -> tuple[list[str], list[str]]:
    """A clinic with so many patients: their ids and tokens."""
    from backend.accounts import access, consents, tokens
    from backend.accounts import people as persons
    from backend.accounts.models import Clinic, Role
    from backend.common import clock

    now = clock.now()
    with access.maintaining("bench"):
        clinic = Clinic.objects.create(
            name="Bench", short_name="Bench", country="IN", time_zone="Asia/Kolkata", created_at=now
        )
        found = []
        for number in range(count):
            person = persons.create(
                email=f"bench{number}@bench.example", full_name="Bench", time_zone="Asia/Kolkata", now=now
            )
            persons.join(person=person, clinic=clinic, role=Role.PATIENT, now=now)
            consents.first_agreements(patient_id=person.id, clinic_id=clinic.id, now=now)
            found.append((str(person.id), tokens.issue(person=person, now=now, lifetime=timedelta(hours=6))))
    ids, keys = zip(*found, strict=True)
    return list(ids), list(keys)


def send(port: int, path: str, tokens: list[str], *, batch: int, given: argparse.Namespace) -> dict[str, Any]:
    """One turn of the clients."""
    job = {
        "port": port, "path": path, "tokens": tokens, "batch": batch, "clients": given.clients,
        "seconds": given.seconds, "ahead": 12 if batch else 400, "seed": secrets.token_hex(8),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "bench.client"], input=json.dumps(job), capture_output=True, text=True, check=True,
        cwd=stage.ROOT,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(done.stdout)
    if "fault" in result:
        sys.exit(f"{path}: {result['fault']}")
    return result


def measure(given: argparse.Namespace) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """All turns: {work: {way: [result, ...]}}; `per_second` counts rows."""
    ids, tokens = people(given.clients)
    stage.bare_table()
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    with stage.server() as ours, stage.server("bench.naive_wsgi:application") as naive:
        for name, rows in (("one", 1), ("batch", BATCH)):
            batch = rows if rows > 1 else 0
            script = INSERT.format(count=len(ids), people=",".join(ids), rows=rows)
            turns = found[name] = {"limit": [], "naive": [], "ours": []}
            for turn in range(given.rounds + 1):
                results = {
                    "limit": {"per_second": stage.pgbench(script, clients=given.clients, seconds=given.seconds)},
                    "naive": send(naive, "/naive", tokens, batch=batch, given=given),
                    "ours": send(ours, "/api/v1/mood-check-ins", tokens, batch=batch, given=given),
                }
                if turn == 0:
                    continue  # the first turn warms everything up
                for way, result in results.items():
                    turns[way].append({**result, "per_second": result["per_second"] * rows})
                said = ", ".join(f"{way} {turns[way][-1]['per_second']:,.0f}" for way in turns)
                print(f"  {name}, turn {turn} of {given.rounds}: {said} rows/s", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Measures and prints."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=4, help="length of one turn")
    options.add_argument("--rounds", type=int, default=3, help="turns of each way; medians are shown")
    options.add_argument("--clients", type=int, default=16)
    given = options.parse_args()
    with stage.database():
        print(
            f"check-ins: {given.clients} clients, {given.rounds} turns of {given.seconds:g} s each; {stage.machine()}"
        )
        found = measure(given)
    rows = []
    for name, title in (("one", "one by PUT"), ("batch", f"batch of {BATCH}")):
        rate = {way: median(turn["per_second"] for turn in turns) for way, turns in found[name].items()}
        spread = {way: median(turn.get("p99_ms", 0) for turn in turns) for way, turns in found[name].items()}
        rows.append(
            (
                title, f"{rate['limit']:,.0f}", f"{rate['naive']:,.0f}", f"{rate['ours']:,.0f}",
                f"{rate['naive'] / rate['limit']:.3f}", f"{rate['ours'] / rate['limit']:.3f}",
                f"{rate['ours'] / rate['naive']:.1f}", f"{spread['naive']:.0f}", f"{spread['ours']:.0f}", AIMS[name],
            )
        )  # fmt: skip
    print(
        stage.table(
            ("rows a second", "limit", "naive", "ours", "naive/limit", "ours/limit", "ours/naive", "p99 ms naive",
             "p99 ms ours", "aim (GOALS)"),
            rows,
        )
    )  # fmt: skip
    print("limit: pgbench alone with the same rows; load, server and database share the cores in the other two.")


if __name__ == "__main__":
    main()
