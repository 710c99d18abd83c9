"""Pushes to a service that takes a tenth of a second to answer, as one on another continent does: by one process, with
sealing, signature and HTTP, one after another and side by side.

`python -m bench.pushes [--people 2000] [--answer-ms 100]`. The limit is a tenth of a second for each twenty.
"""

import argparse
import asyncio
import subprocess
import sys
import time
from datetime import timedelta

from psycopg.types.json import Jsonb

from bench import schedules, stage

_DEVICES = """
INSERT INTO accounts_device (id, person_id, platform, agent, address, push, app_version, locale, time_zone, seen_at)
SELECT gen_random_uuid(), id, 'web', '', '', %(push)s::jsonb, '', '', '', %(now)s FROM accounts_person p
WHERE NOT EXISTS (SELECT FROM accounts_device d WHERE d.person_id = p.id)
"""


async def _serve(answer_ms: int) -> None:
    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                await reader.readexactly(length)
                await asyncio.sleep(answer_ms / 1000)
                writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def measure(people: int, answer_ms: int) -> None:
    """Sends to all of them twice and prints."""
    from django.conf import settings
    from django.db import connections

    from backend.common import clock
    from backend.reminders import channels, claiming, delivering
    from backend.reminders.channels import webpush

    service = subprocess.Popen(
        [sys.executable, "-m", "bench.pushes", "--serve", "--answer-ms", str(answer_ms)],
        cwd=stage.ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert service.stdout is not None  # noqa: S101
        port = int(service.stdout.readline())
        settings.PUSH_TO_LOOPBACK, now = True, clock.now()
        schedules.fill(rules=people * schedules.RULES_EACH, now=now)
        # Any point of the curve will do as a browser's key: ours is one.
        keys = {"p256dh": webpush.public_key(), "auth": webpush.pack(bytes(16))}
        push = Jsonb({"endpoint": f"http://127.0.0.1:{port}/push", "keys": keys})
        push_channel, rates = channels.OUTWARD["push"], {}
        for threads in (1, push_channel.threads):
            with connections["owner"].cursor() as cursor:
                cursor.execute("SET afterglow.purpose = 'maintenance: bench'")
                cursor.execute(_DEVICES, {"push": push, "now": now})
                count = people // 10 if threads == 1 else people
                due_at = clock.now() - timedelta(seconds=1)
                schedules.make_due(cursor, count=count, at=due_at)
            claiming.claim(now=clock.now())
            push_channel.threads = threads  # type: ignore[misc]
            began = time.monotonic()
            handed = delivering.deliver(now=clock.now(), seconds=600)
            if handed != count:
                sys.exit(f"{handed} of {count} were handed over")
            rates[threads] = count / (time.monotonic() - began)
    finally:
        service.terminate()
        service.wait()
    (one, alone), (many, together) = rates.items()
    ceiling = many * 1000 / answer_ms
    print(f"pushes to a service that answers after {answer_ms} ms, one process; {stage.machine()}")
    print(stage.table(("side by side", "a second", "to one after another", "to the limit"), [
        (str(one), f"{alone:,.0f}", "1.0", f"{alone / ceiling:.2f}"),
        (str(many), f"{together:,.0f}", f"{together / alone:.1f}", f"{together / ceiling:.2f}"),
    ]))  # fmt: skip


def main() -> None:
    """Measures and prints, or is the service."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--people", type=int, default=2_000)
    options.add_argument("--answer-ms", type=int, default=100)
    options.add_argument("--serve", action="store_true", help="be the service and print the port")
    given = options.parse_args()
    if given.serve:
        asyncio.run(_serve(given.answer_ms))
        return
    with stage.database():
        measure(given.people, given.answer_ms)


if __name__ == "__main__":
    main()
