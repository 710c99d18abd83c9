"""Sixteen phones: threads that send prepared requests over keep-alive sockets and note how long each answer took.

A process of its own (`python -m bench.client`), so that its work is not done under the lock of another. Reads a job as
JSON from standard input and prints the result as JSON. Bodies are made before the clock starts.
"""

import json
import random
import socket
import sys
import threading
import time
import uuid
from typing import Any


def check_in(rng: random.Random, felt_at: str) -> dict[str, Any]:
    """A check-in as a phone sends it."""
    return {
        "felt_at": felt_at, "time_zone": "Asia/Kolkata", "mood": rng.randrange(11), "anxiety": rng.randrange(11),
        "energy": rng.randrange(11), "tags": ["walk"], "note": "Ordinary day. Work was fine.",
    }  # fmt: skip


def request(job: dict[str, Any], token: str, rng: random.Random) -> bytes:
    """One request with new ids, whole."""
    new = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    day, minute = rng.randrange(1, 28), rng.randrange(60)
    at = f"2026-0{rng.randrange(1, 10)}-{day:02d}T{rng.randrange(24):02d}:{minute:02d}:00+05:30"
    if job["batch"]:
        records = [
            {"id": str(uuid.UUID(int=rng.getrandbits(128), version=4)), **check_in(rng, at)}
            for _ in range(job["batch"])
        ]
        body, verb, path = json.dumps({"records": records}).encode(), "POST", f"{job['path']}/batch"
    else:
        body, verb, path = json.dumps(check_in(rng, at)).encode(), "PUT", f"{job['path']}/{new}"
    head = (
        f"{verb} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def answer(line: socket.socket, rest: bytes) -> tuple[int, bytes, bytes]:
    """(status, body, what came after it)."""
    while b"\r\n\r\n" not in rest:
        part = line.recv(65536)
        if not part:
            raise ConnectionError("the server hung up")
        rest += part
    head, _, rest = rest.partition(b"\r\n\r\n")
    length = next(
        int(field.split(b":")[1]) for field in head.split(b"\r\n") if field.lower().startswith(b"content-length")
    )
    while len(rest) < length:
        rest += line.recv(65536)
    return int(head[9:12]), rest[:length], rest[length:]


def phone(job: dict[str, Any], number: int, times: list[float], faults: list[str], gate: threading.Barrier) -> None:
    """Sends until the time is over."""
    rng = random.Random(f"{job['seed']}/{number}")  # noqa: S311
    token = job["tokens"][number % len(job["tokens"])]
    ready = [request(job, token, rng) for _ in range(job["ahead"])]
    with socket.create_connection(("127.0.0.1", job["port"]), timeout=30) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        gate.wait()
        end, rest = time.perf_counter() + job["seconds"], b""
        while (began := time.perf_counter()) < end:
            line.sendall(ready.pop() if ready else request(job, token, rng))
            status, body, rest = answer(line, rest)
            times.append(time.perf_counter() - began)
            if status not in (200, 201) or b'"rejected"' in body:
                faults.append(f"{status} {body[:300].decode(errors='replace')}")
                return


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Answers a second, and the spread of their times in milliseconds."""
    times: list[list[float]] = [[] for _ in range(job["clients"])]
    faults: list[str] = []
    gate = threading.Barrier(job["clients"] + 1)
    threads = [threading.Thread(target=phone, args=(job, n, times[n], faults, gate)) for n in range(job["clients"])]
    for thread in threads:
        thread.start()
    gate.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    lasted = time.perf_counter() - began
    all_times = sorted(t for some in times for t in some)
    if faults or not all_times:
        return {"fault": (faults or ["no answer"])[0]}
    at = {p: 1000 * all_times[min(len(all_times) - 1, int(len(all_times) * p))] for p in (0.5, 0.99)}
    return {"per_second": len(all_times) / lasted, "p50_ms": at[0.5], "p99_ms": at[0.99], "answers": len(all_times)}


if __name__ == "__main__":
    print(json.dumps(run(json.load(sys.stdin))))
