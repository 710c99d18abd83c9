"""HTTP sessions that a thread keeps from one parcel to the next: a connection costs more than what goes through it."""

import threading
import time
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy

import requests

# Ours: shorter than servers keep an idle connection (Node's default, 5 s, is the shortest of the common ones: its
# documentation, `server.keepAliveTimeout`), so that no alert is lost, and no text left in doubt, in one that closes.
_IDLE_SECONDS = 2.0


class Lines(threading.local):
    """Each thread's own session, made when it is asked for. No cookie of one person's goes with another's."""

    def __init__(self, make: Callable[[], requests.Session]) -> None:
        self._make = make
        self._session: requests.Session | None = None
        self._used_at = 0.0

    def session(self) -> requests.Session:
        """The thread's session; a new one where it lay idle."""
        now = time.monotonic()
        if self._session is None or now - self._used_at > _IDLE_SECONDS:
            if self._session is not None:
                self._session.close()
            self._session = self._make()
            self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._used_at = now
        return self._session
