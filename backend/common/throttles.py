"""How many requests one may make: counted in Redis for all processes, exactly, by one script a request.

A window slides: what counts is the number of requests let in within the last second and the last minute, so nobody gets
twice the limit around the turn of a minute. While Redis is away everything is let in (docs/decisions/018); sign-in has
limits of its own in the database.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from django.conf import settings
from django.utils.crypto import salted_hmac
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from backend.common.breaker import Breaker

PER_SECOND = 20
PER_MINUTE = 600
WITHOUT_TOKEN_PER_MINUTE = 60
PATIENCE_SECONDS = 0.05
# For so long a token that was right is not asked again whether it is one.
KNOWN_SECONDS = 3600

# A list for each asker holds the instants (ms) of what was let in, newest first, no more than the limit needs. The one
# that stands at the limit's place is the request that must have aged before another comes in. A token that nobody has
# seen to be right counts as none once its address has used up what strangers have; else made-up tokens had no limit.
_ADMIT = """
local now = tonumber(ARGV[1])
local function wait(key, allowed, window)
    local at = redis.call('LINDEX', key, allowed - 1)
    return at and math.max(tonumber(at) + window - now, 0) or 0
end
local function note(key, most)
    redis.call('LPUSH', key, now)
    redis.call('LTRIM', key, 0, most - 1)
    redis.call('PEXPIRE', key, 60000)
end
local second, minute, stranger = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if #KEYS == 1 then
    local left = wait(KEYS[1], stranger, 60000)
    if left == 0 then note(KEYS[1], stranger) end
    return {left, 0}
end
local known = redis.call('EXISTS', KEYS[3])
local left = known == 1 and 0 or wait(KEYS[1], stranger, 60000)
left = math.max(left, wait(KEYS[2], second, 1000), wait(KEYS[2], minute, 60000))
if left == 0 then note(KEYS[2], minute) end
return {left, known}
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request comes in: `wait_seconds` is 0, or when to come back; `known` is a token seen to be right."""

    wait_seconds: int
    known: bool


def admit(*, network: str, token: str | None, now: datetime) -> Verdict:
    """Counts a request that comes in; what is refused does not count. Never raises: without Redis all come in."""
    return _counter(settings.REDIS_URL).admit(network=network, token=token, now=now)


def remember(*, token: str) -> None:
    """This token was right: for an hour it is limited for itself and not with its address."""
    _counter(settings.REDIS_URL).remember(token=token)


def note_stranger(*, network: str, now: datetime) -> None:
    """The token was none: the request counts as one without."""
    _counter(settings.REDIS_URL).admit(network=network, token=None, now=now)


class _Counter:
    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=PATIENCE_SECONDS,
            socket_connect_timeout=PATIENCE_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._breaker = Breaker("request limits")
        self._script = self._redis.register_script(_ADMIT)

    def admit(self, *, network: str, token: str | None, now: datetime) -> Verdict:
        keys = [_key("network", network)]
        if token is not None:
            keys += [_key("token", token), _key("known", token)]
        arguments = [int(now.timestamp() * 1000), PER_SECOND, PER_MINUTE, WITHOUT_TOKEN_PER_MINUTE]
        wait, known = self._breaker.attempt([0, 1], lambda: self._script(keys=keys, args=arguments))
        return Verdict(wait_seconds=math.ceil(wait / 1000), known=bool(known))

    def remember(self, *, token: str) -> None:
        self._breaker.attempt(None, lambda: self._redis.set(_key("known", token), 1, ex=KNOWN_SECONDS))


@cache
def _counter(url: str) -> _Counter:
    return _Counter(url)


def _key(kind: str, name: str) -> str:
    """Neither tokens nor addresses stand in Redis, only what our key makes of them."""
    return (
        f"afterglow:limit:{kind}:{salted_hmac('backend.common.throttles', name, algorithm='sha256').hexdigest()[:32]}"
    )
