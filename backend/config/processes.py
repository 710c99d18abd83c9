"""Child processes that never outlive their parent: started in a group of their own, ended in order, found again."""

import contextlib
import ctypes
import os
import platform
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from backend.config import home

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
LINUX: bool = platform.system() == "Linux"
_libc = ctypes.CDLL(None, use_errno=True) if LINUX else None


def spawn(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    output: int | IO[bytes],
    run_as: int | None = None,
    group: int | None = None,
    on_orphaned: signal.Signals = signal.SIGTERM,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, with both outputs on `output`, as `run_as` where given
    (with the group of the same number, or `group`).

    On Linux the kernel sends it `on_orphaned` when the thread that calls this ends, kill -9 of the parent included.
    """
    return subprocess.Popen(  # noqa: S603 - the program and its arguments are ours
        list(arguments),
        env=dict(env),
        cwd=cwd,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=run_as,
        group=None if run_as is None else group or run_as,
        extra_groups=None if run_as is None else [],
        preexec_fn=_dies_with(os.getpid(), on_orphaned),
    )


def _dies_with(parent: int, number: signal.Signals) -> Callable[[], None] | None:
    return (lambda: die_with(parent, number)) if _libc is not None else None


def die_with(parent: int, number: signal.Signals, *, name: str = "") -> None:
    """In a fresh child: ask the kernel for that signal when the parent ends, and take a name for `ps` and `top`."""
    if _libc is None:
        return
    _libc.prctl(PR_SET_PDEATHSIG, int(number))
    if name:
        _libc.prctl(PR_SET_NAME, name.encode())
    if os.getppid() != parent:
        os._exit(1)


def forks_end_with_this() -> None:
    """From now on the kernel ends this process's own forks when it ends, a kill -9 included."""
    if _libc is None:
        return
    libc, forking = _libc, [os.getpid()]

    def note() -> None:
        forking[0] = os.getpid()

    def follow() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != forking[0]:
            os._exit(1)  # it was killed between the fork and the line above, which then waits for nobody's end

    os.register_at_fork(before=note, after_in_child=follow)


def stop(child: subprocess.Popen[bytes], *, by: Sequence[tuple[signal.Signals, float]]) -> int:
    """End a child: each signal in turn with its patience in seconds, then SIGKILL for it and its whole group."""
    for number, patience in by:
        if child.poll() is not None:
            break
        child.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=patience)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    return child.wait()


def birth(pid: int) -> str:
    """When that process began, in the system's own words; with the pid it names one process. Empty if there is none."""
    stat = Path(f"/proc/{pid}/stat")
    if LINUX:
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] == "Z" else fields[19]
    answer = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip()


def remember(record: Path, children: Mapping[str, int]) -> None:
    """Note the living children (pid by name), so that the next start finds those that a kill -9 left behind."""
    lines = [f"{pid}\t{birth(pid)}\t{name}\n" for name, pid in children.items()]
    home.write_private(record, "".join(lines))


def end_leftovers(record: Path) -> list[str]:
    """Kill what `remember` noted and still runs, with its process group; answers the names."""
    if not record.is_file():
        return []
    ended = []
    for line in record.read_text().splitlines():
        number, _, rest = line.partition("\t")
        began, _, name = rest.partition("\t")
        if not began or birth(int(number)) != began:
            continue
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(int(number), signal.SIGKILL)
        for _ in range(100):
            if not birth(int(number)):
                break
            time.sleep(0.05)
        ended.append(name)
    record.unlink(missing_ok=True)
    return ended
