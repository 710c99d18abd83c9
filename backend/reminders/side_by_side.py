"""Does the same with many things in several threads: while one waits for an answer, others are on their way."""

import contextvars
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

Thing = TypeVar("Thing")

_THREADS = 32  # of one process, for all that it does side by side


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="side by side")


os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has none of its parent's threads


def each(work: deque[Thing], do: Callable[[Thing], None], *, threads: int) -> None:
    """Does it with everything in `work`; that with which it failed, and all that it did not come to, stay there.

    The first error ends it: what is under way is finished, then it is raised. Whoever is interrupted meanwhile waits
    for what is under way as well.
    """
    ended = threading.Event()

    def go_on() -> None:
        while work and not ended.is_set():
            try:
                thing = work.popleft()
            except IndexError:  # another took the last one
                return
            try:
                do(thing)
            except BaseException:
                ended.set()
                work.appendleft(thing)
                raise

    if threads == 1 or len(work) < 2:
        go_on()
        return
    running = [_pool().submit(contextvars.copy_context().run, go_on) for _ in range(min(threads, len(work)))]
    try:
        wait(running)
    finally:
        ended.set()
        wait(running)
    for one in running:
        one.result()
