"""A breaker for each provider: one that fails again and again is left alone for a while, so that nobody waits for it.

Kept in each process: five failures in a row are soon seen by all of them. Its threads share them.
"""

import threading
from collections import OrderedDict
from datetime import datetime, timedelta

import structlog

log = structlog.get_logger(__name__)

# Ours: some failures are chance; a provider that is down comes back within minutes.
FAILURES = 5
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=5)
_MOST = 500  # hosts of Web Push are chosen by clients


class Breaker:
    """Closed, or open until an instant; then one may try, and what becomes of that decides."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._open_until: datetime | None = None
        self._on_trial = False

    def wait(self, now: datetime) -> timedelta | None:
        """How long nothing should be sent there; None when it may be. Who gets None first after a pause tries alone."""
        with _lock:
            if self._open_until is None:
                return None
            if now < self._open_until:
                return self._open_until - now
            self._open_until, self._on_trial = now + self._pause, True
            return None

    def failed(self, now: datetime) -> None:
        """The provider could not be reached, or said that it is broken."""
        with _lock:
            if self._open_until is None:
                self._failures += 1
                if self._failures < FAILURES:
                    return
            elif self._on_trial or now >= self._open_until:
                self._pause = min(self._pause * 2, LONGEST_PAUSE)
            else:
                return  # it was on its way when the others failed, or did not heed the pause: nothing new
            self._open_until, self._on_trial = now + self._pause, False
        log.warning("provider left alone", provider=self._name, seconds=self._pause.total_seconds())

    def worked(self) -> None:
        """The provider answered, whatever it said."""
        with _lock:
            self._failures, self._pause, self._open_until, self._on_trial = 0, FIRST_PAUSE, None, False


_lock = threading.Lock()
_known: OrderedDict[str, Breaker] = OrderedDict()


def of(provider: str) -> Breaker:
    """The breaker of a provider in this process."""
    with _lock:
        if provider not in _known:
            _known[provider] = Breaker(provider)
            while len(_known) > _MOST:
                _known.popitem(last=False)
        return _known[provider]


def forget() -> None:
    """All of them are closed again."""
    _known.clear()
