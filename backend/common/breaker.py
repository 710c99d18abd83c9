"""A breaker for calls to Redis: while it is away nobody waits for it, and nothing fails for its sake."""

import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)
T = TypeVar("T")
# After a call that failed, none is tried for so long: a dozen calls of one request must not wait one after another.
PAUSE_SECONDS = 1.0


class Breaker:
    """Makes calls, and answers for those that fail; `name` is for the log."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._away_until = 0.0

    def attempt(self, otherwise: T, call: Callable[[], T]) -> T:
        """What the call answers; `otherwise` when Redis is away, and for the next second without asking."""
        if time.monotonic() < self._away_until:
            return otherwise
        try:
            return call()
        except (RedisError, OSError) as error:
            log.warning("redis is away", what=self._name, error=type(error).__name__)
            self._away_until = time.monotonic() + PAUSE_SECONDS
            return otherwise
