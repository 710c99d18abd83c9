"""Worker and beat of the measurement: those of the program, with a channel that hands over to a counter on loopback.

`python -m bench.sink worker|urgent|beat|claim`. The channel honours a key, as a push service does, and costs what a
push costs without encryption and network: the words are written, the parcel goes through a socket.
"""

import os
import socket
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

NAME = "push"


class Sink:
    """A channel to the counter at BENCH_COUNTER (a port of loopback)."""

    name = NAME
    at_once = 20
    threads = 1  # a socket of loopback keeps nobody waiting
    honours_key = True
    is_brief = True

    def __init__(self) -> None:
        self._lines: dict[int, socket.socket] = {}

    def _line(self) -> socket.socket:
        """Each process has a line of its own, made at its first use."""
        if os.getpid() not in self._lines:
            line = socket.create_connection(("127.0.0.1", int(os.environ["BENCH_COUNTER"])))
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._lines[os.getpid()] = line
        return self._lines[os.getpid()]

    def is_set_up(self) -> bool:
        """Always."""
        return True

    def address_of(self, person: Any, devices: Sequence[Any], blocked: Collection[str]) -> Any:
        """Everybody has one."""
        from backend.reminders.channels.base import Address

        return Address(line=str(person.id))

    @contextmanager
    def open(self, *, now: datetime, urgent: bool = False) -> Iterator[Any]:
        """The line, which stays open."""
        from backend.reminders.channels.base import Fate, Outcome

        taken, line = Outcome(Fate.SENT), self._line()

        def send(parcel: Any) -> Outcome:
            words = parcel.letter.subject.encode()[:40].ljust(40)
            line.sendall(parcel.key.bytes + words)
            return taken

        yield send


def install() -> None:
    """Puts it in the place of notifications."""
    from backend.reminders import channels

    channels.OUTWARD[NAME] = Sink()


def main(part: str) -> None:
    """Runs a part of the program with this channel; `claim` claims what is due, `deliver` sends it, in this process."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")
    from backend.config import parts

    parts.load()
    install()
    if part not in {"claim", "deliver"}:
        parts.run(part)
        return
    from backend.common import clock
    from backend.reminders import claiming, delivering

    print("ready", flush=True)
    sys.stdin.readline()
    now = clock.now()
    print(claiming.claim(now=now) if part == "claim" else delivering.deliver(now=now, seconds=600), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
