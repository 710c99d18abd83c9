"""The demo's parts as one process tree: forked from one loaded program, logs prefixed, started again when they die."""

import contextlib
import os
import selectors
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from backend.config import processes
from backend.config.home import CannotStart

COLOURS = {"web": 36, "worker": 32, "urgent": 31, "beat": 35, "mailbox": 33, "setup": 34}
WIDTH = max(map(len, COLOURS))
STEADY_SECONDS = 3.0
MAX_QUICK_ENDS = 5
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(kw_only=True)
class Part:
    """One forked child: what it runs, where its output comes from, and how often it ended soon after its start."""

    name: str
    target: Callable[[], None]
    once: bool
    pid: int
    pipe: int
    started: float
    quick_ends: int = 0
    code: int | None = None
    rest: bytes = b""


class Supervisor:
    """Holds the parts; `turn` does a slice of the work and must be called again and again."""

    def __init__(self, *, record: Path, close_in_children: list[int]) -> None:
        self.parts: dict[str, Part] = {}
        self._asked = False
        self._record = record
        self._close = close_in_children
        self._selector = selectors.DefaultSelector()
        self._woken, self._wake = os.pipe()
        for end in (self._woken, self._wake):
            os.set_blocking(end, False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for number in ENDINGS:
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True

    def asked_to_stop(self) -> bool:
        """Whether Ctrl-C or SIGTERM came."""
        return self._asked

    def start(self, name: str, target: Callable[[], None], *, once: bool = False) -> Part:
        """Fork a child that runs `target`; unless `once`, it is started again whenever it ends."""
        sys.stdout.flush()
        sys.stderr.flush()
        reading, writing = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._be_child(name, target, pipe=(reading, writing), parent=parent)
        os.close(writing)
        os.set_blocking(reading, False)
        part = Part(name=name, target=target, once=once, pid=pid, pipe=reading, started=time.monotonic())
        if name in self.parts:
            part.quick_ends = self.parts[name].quick_ends
        self.parts[name] = part
        self._selector.register(reading, selectors.EVENT_READ, part)
        self._remember()
        return part

    def _be_child(self, name: str, target: Callable[[], None], *, pipe: tuple[int, int], parent: int) -> None:
        code = 1
        try:
            os.setsid()
            processes.die_with(parent, signal.SIGKILL, name=f"afterglow {name}")
            signal.set_wakeup_fd(-1)
            for number in (*ENDINGS, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(pipe[1], 1)
            os.dup2(pipe[1], 2)
            sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
            self._selector.close()
            for part in self.parts.values():
                with contextlib.suppress(OSError):
                    os.close(part.pipe)
            for handle in (*pipe, self._woken, self._wake, *self._close):
                os.close(handle)  # a reading end kept here would keep this child from seeing its reader gone
            target()
            code = 0
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else int(bool(ending.code))
        except KeyboardInterrupt:
            code = 130
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def turn(self, seconds: float = 0.05) -> None:
        """Wait up to that long for output or ends; print lines, start ended parts again.

        Raises CannotStart when a part ends MAX_QUICK_ENDS times in a row within STEADY_SECONDS of its start.
        """
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._woken, 4096)
            else:
                self._print(key.data)
        for part in list(self.parts.values()):
            self._reap(part)

    def _print(self, part: Part) -> bool:
        try:
            block = os.read(part.pipe, 65536)
        except BlockingIOError:
            return False
        *lines, part.rest = (part.rest + block).split(b"\n")
        if not block:
            self._selector.unregister(part.pipe)
            os.close(part.pipe)
            lines, part.rest, part.pipe = [part.rest] if part.rest else [], b"", -1
        for line in lines:
            say(part.name, line.decode(errors="replace"))
        return bool(block)

    def _reap(self, part: Part) -> None:
        if part.code is not None:
            return
        pid, status = os.waitpid(part.pid, os.WNOHANG)
        if pid == 0:
            return
        part.code = os.waitstatus_to_exitcode(status)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(part.pid, signal.SIGKILL)  # what a killed part left in its group
        while part.pipe >= 0 and self._print(part):
            continue
        if part.once or self._asked:
            return
        part.quick_ends = part.quick_ends + 1 if time.monotonic() - part.started < STEADY_SECONDS else 1
        if part.quick_ends >= MAX_QUICK_ENDS:
            raise CannotStart(f"{part.name} ended {part.quick_ends} times in a row; its last lines above say why")
        say(part.name, f"ended with {part.code}; starting it again")
        time.sleep(0.2 * (part.quick_ends - 1))
        self.start(part.name, part.target)

    def _remember(self) -> None:
        processes.remember(self._record, {part.name: part.pid for part in self.parts.values() if part.code is None})

    def stop_all(self, *, order: list[str]) -> None:
        """End the parts, all told at once and waited for in that order; a second Ctrl-C or ten seconds kill them."""
        self._asked = True
        alive = [self.parts[name] for name in order if name in self.parts and self.parts[name].code is None]
        alive += [part for part in self.parts.values() if part.code is None and part not in alive]
        for part in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(part.pid, signal.SIGTERM)
        self._asked = False
        until = time.monotonic() + 10
        while any(part.code is None for part in alive):
            if self._asked or time.monotonic() > until:
                for part in alive:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(part.pid, signal.SIGKILL)
            for part in alive:
                part.once = True
            self.turn(0.05)
        self._record.unlink(missing_ok=True)


def say(name: str, line: str) -> None:
    """One line of one part's log on the terminal."""
    label = f"{name:<{WIDTH}} |"
    if sys.stdout.isatty():
        label = f"\x1b[{COLOURS.get(name, 37)}m{label}\x1b[0m"
    with contextlib.suppress(OSError):  # a terminal that was closed; the stop that it asked for must go on
        print(label, line.rstrip(), flush=True)
