"""Reminders: claims and deliveries a second, lateness, and how the cost grows, on a million active rules.

`python -m bench.reminders [--rules 1000000] [--due 100000] [--turns 4]`. The limit is SQL alone (`bench.floor`). The
naive way is one Celery message for each reminder. Both ways of delivering hand over to the same counter on loopback;
worker, tick, sweep and broker are those of the program.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median

from bench import floor, schedules, stage
from bench.counter import Counter
from bench.floor import make_due

_LATENESS = """
SELECT percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM r.sent_at - r.send_at)),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM r.sent_at - r.send_at)), count(*)
FROM reminders_reminder r WHERE r.send_at >= %s AND r.send_at <= %s AND r.sent_at IS NOT NULL
"""
# GOALS.md and the issue: p99 from due to sent, in seconds.
AT_ONCE = {5_500: 0.8, 55_000: 4.0, 100_000: 8.0}
STEADY, STEADY_SECONDS, STEADY_AIM = 1_000, 20, 2.0


def say(words: str) -> None:
    """Progress, to standard error."""
    print(f"  {words}", file=sys.stderr, flush=True)


def together(part: str, port: int, *, count: int) -> float:
    """Rows a second of two processes that begin at once: `claim` or `deliver`."""
    command = [sys.executable, "-m", "bench.sink", part]
    env = {**os.environ, "BENCH_COUNTER": str(port)}
    both = [
        subprocess.Popen(command, cwd=stage.ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for each in both:
        assert each.stdout is not None  # noqa: S101
        each.stdout.readline()
    began = time.monotonic()
    answers = [0, 0]

    def run(place: int) -> None:
        answers[place] = int(both[place].communicate("go\n")[0].strip().splitlines()[-1])

    threads = [threading.Thread(target=run, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began
    if sum(answers) < count:  # it may be more: some come due by themselves meanwhile
        sys.exit(f"{part}: {sum(answers)} of {count}")
    return sum(answers) / seconds


@contextlib.contextmanager
def on(name: str) -> Iterator[None]:
    """Measures another database meanwhile."""
    before = {key: os.environ[key] for key in stage.KEYS}
    os.environ.update({key: stage.of(url, name) for key, url in before.items()})
    try:
        yield
    finally:
        os.environ.update(before)


def claim_and_clear(count: int, port: int) -> float:
    """Claims a second of so many that are due now; they are sent afterwards."""
    make_due(count, at=datetime.now(UTC))
    rate = together("claim", port, count=count)
    together("deliver", port, count=count)
    return rate


@contextlib.contextmanager
def engine(port: int) -> Iterator[None]:
    """Worker of two processes, the reserved worker and beat, with the measurement's channel."""
    from redis import Redis

    with Redis.from_url(os.environ["REDIS_URL"]) as redis:
        redis.flushdb()
    with contextlib.ExitStack() as running:
        for part in ("worker", "urgent", "beat"):
            command = [sys.executable, "-m", "bench.sink", part]
            running.enter_context(stage.child(command, BENCH_COUNTER=str(port), WORKER_PROCESSES="2"))
        _wait_until_well()
        yield


def _wait_until_well() -> None:
    from backend.common import clock
    from backend.reminders import watch

    until = time.monotonic() + 60
    while True:
        told = watch.readiness(now=clock.now())
        if all(told[part]["well"] for part in ("worker", "urgent", "beat", "tick")):
            return
        if time.monotonic() > until:
            sys.exit(f"the engine did not come up: {told}")
        time.sleep(0.2)


def at_once(counter: Counter, count: int) -> tuple[float, float, float]:
    """So many due in one second: reminders a second from due to the last sent, p99 and median of lateness."""
    from backend.common import clock

    counter.reset()
    due_at = (clock.now() + timedelta(seconds=max(20, count / 4_000))).replace(microsecond=0)
    make_due(count, at=due_at)
    if clock.now() > due_at:
        sys.exit("making them due took longer than thought")
    wait = (due_at - clock.now()).total_seconds()
    began = time.monotonic() + wait
    last = counter.wait(count, seconds=wait + 240)
    late, middle = _lateness(due_at, due_at, count)
    return count / (last - began), late, middle


def steady(counter: Counter) -> tuple[float, float]:
    """A thousand due in each of twenty seconds: p99 and median of lateness."""
    from backend.common import clock

    counter.reset()
    first = (clock.now() + timedelta(seconds=30)).replace(microsecond=0)
    for second in range(STEADY_SECONDS):
        with stage.owner() as cursor:
            schedules.make_due(cursor, count=STEADY, at=first + timedelta(seconds=second))
    with stage.owner() as cursor:
        cursor.execute("VACUUM (ANALYZE) reminders_reminder")
    count = STEADY * STEADY_SECONDS
    counter.wait(count, seconds=180)
    return _lateness(first, first + timedelta(seconds=STEADY_SECONDS), count)


def _lateness(since: datetime, until: datetime, count: int) -> tuple[float, float]:
    end = time.monotonic() + 60
    while True:
        with stage.owner() as cursor:
            late, middle, found = cursor.execute(_LATENESS, [since, until]).fetchone() or (0, 0, 0)
        if found >= count:
            return float(late), float(middle)
        if time.monotonic() > end:
            sys.exit(f"{found} of {count} were marked as sent")
        time.sleep(0.2)


def naive(counter: Counter, count: int) -> float:
    """One Celery message for each reminder, with the same broker, processes and counter: reminders a second."""
    from bench import naive_reminders

    counter.reset()
    with stage.child(
        [sys.executable, "-m", "bench.naive_reminders"], BENCH_COUNTER=str(counter.port), WORKER_PROCESSES="2"
    ):
        ids = naive_reminders.take_due(count)
        naive_reminders.wait_for_worker()
        began = time.monotonic()
        naive_reminders.send_all(ids)
        return count / (counter.wait(count, seconds=300) - began)


def main() -> None:
    """Measures and prints."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rules", type=int, default=1_000_000)
    options.add_argument("--due", type=int, default=100_000)
    options.add_argument(
        "--turns", type=int, default=4, help="of limit and claim, side by side; medians of turns are shown"
    )
    options.add_argument("--naive", type=int, default=3_000, help="reminders that the naive way sends")
    given = options.parse_args()
    with contextlib.ExitStack() as after:
        name = after.enter_context(stage.database())
        from django.db import connections

        from backend.common import clock

        print(f"reminders: {given.rules:,} active rules, {given.due:,} due; {stage.machine()}", flush=True)
        counter, few = Counter(), 10_000
        schedules.fill(rules=few, now=clock.now())
        connections.close_all()
        small = f"{name}_small"
        stage.make(os.environ["DATABASE_OWNER_URL"], small, template=name)
        after.callback(stage.drop, os.environ["DATABASE_OWNER_URL"], small)
        schedules.fill(rules=given.rules - few, now=clock.now())
        floor.bare_tables()
        say(f"{given.rules:,} rules are there")
        with on(small):
            claim_and_clear(few // 2, counter.port)  # both are warm
        claim_and_clear(few // 2, counter.port)
        claims: dict[str, list[float]] = {"limit": [], "ours": []}
        alone, delivered, growth = [], [], []
        for turn in range(given.turns):
            with on(small):
                little = claim_and_clear(few // 2, counter.port)
            growth.append(little / claim_and_clear(few // 2, counter.port))
            now = clock.now()
            fastest_claim, whole_way = floor.rates(given.due, now)
            claims["limit"].append(fastest_claim)
            alone.append(whole_way)
            make_due(given.due, at=now)
            claims["ours"].append(together("claim", counter.port, count=given.due))
            delivered.append(together("deliver", counter.port, count=given.due))
            say(f"turn {turn + 1}: limit {claims['limit'][-1]:,.0f}, ours {claims['ours'][-1]:,.0f} claims a second, "
                f"{delivered[-1]:,.0f} deliveries a second; SQL alone the whole way: {alone[-1]:,.0f}; "
                f"{few:,} rules: {little:,.0f} claims a second")  # fmt: skip
        slow = naive(counter, given.naive)
        say(f"one message for each: {slow:,.0f} a second")
        with engine(counter.port):
            sent = {}
            for count in AT_ONCE:
                if count <= given.due:
                    sent[count] = at_once(counter, count)
                    say(f"{count:,} at once: {sent[count][0]:,.0f} a second, p99 {sent[count][1]:.2f} s")
            late, middle = steady(counter)
    ceiling, ours = median(claims["limit"]), median(claims["ours"])
    ratio = median(mine / limit for limit, mine in zip(claims["limit"], claims["ours"], strict=True))
    print(stage.table(("claims a second", "limit", "ours", "ours/limit", "aim"), [
        (f"{given.due:,} due", f"{ceiling:,.0f}", f"{ours:,.0f}", f"{ratio:.2f}", "0.7"),
    ]))  # fmt: skip
    print(f"cost of a claim, {given.rules:,} rules to {few:,}: {median(growth):.2f} x (aim 1.3)")
    print(f"lease, sending, hand-over, outcome: {median(delivered):,.0f} a second by two processes")
    fastest = max((figure[0] for figure in sent.values()), default=0)
    print(
        f"end to end: {fastest:,.0f} a second; one message for each: {slow:,.0f}; "
        f"{fastest / slow:.1f} x (aim 15, or 14,000); by SQL alone {median(alone):,.0f}"
    )
    print(stage.table(("due at once", "a second", "median s", "p99 s", "aim p99 s", "p99 s by SQL alone"), [
        *((f"{count:,}", f"{rate:,.0f}", f"{half:.2f}", f"{p99:.2f}", f"{AT_ONCE[count]:.1f}",
           f"{0.99 * count / median(alone):.2f}") for count, (rate, p99, half) in sent.items()),
        (f"{STEADY:,} each second", "", f"{middle:.2f}", f"{late:.2f}", f"{STEADY_AIM:.1f}", ""),
    ]))  # fmt: skip


if __name__ == "__main__":
    main()
