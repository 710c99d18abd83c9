"""The cache in Redis, for which nobody waits: while Redis is away it is an empty cache that takes everything."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.backoff import NoBackoff
from redis.retry import Retry

from backend.common.breaker import Breaker


class PatientClient(RedisCacheClient):
    """Django's client; a call that fails answers as an empty cache would, and the next second asks nobody.

    What was counted here is not counted while Redis is away. A limit that must stand is kept in the database as well
    (backend.accounts.attempts).
    """

    def __init__(self, servers: list[str], **options: Any) -> None:
        super().__init__(servers, **{"retry": Retry(NoBackoff(), 0)} | options)
        self._or = Breaker("cache").attempt

    def add(self, key: Any, value: Any, timeout: Any) -> bool:
        """True while away: a lock that nobody else can hold is taken."""
        return self._or(True, lambda: super(PatientClient, self).add(key, value, timeout))

    def get(self, key: Any, default: Any) -> Any:
        """The default while away."""
        return self._or(default, lambda: super(PatientClient, self).get(key, default))

    def set(self, key: Any, value: Any, timeout: Any) -> None:
        """Nothing while away."""
        self._or(None, lambda: super(PatientClient, self).set(key, value, timeout))

    def touch(self, key: Any, timeout: Any) -> bool:
        """False while away, as for a key that is not there."""
        return self._or(False, lambda: super(PatientClient, self).touch(key, timeout))

    def delete(self, key: Any) -> bool:
        """False while away, as for a key that is not there."""
        return self._or(False, lambda: super(PatientClient, self).delete(key))

    def get_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """Nothing found while away."""
        return self._or({}, lambda: super(PatientClient, self).get_many(keys))

    def has_key(self, key: Any) -> bool:
        """False while away."""
        return self._or(False, lambda: super(PatientClient, self).has_key(key))

    def incr(self, key: Any, delta: int) -> Any:
        """Counts from nothing while away."""
        return self._or(delta, lambda: super(PatientClient, self).incr(key, delta))

    def set_many(self, data: Mapping[Any, Any], timeout: Any) -> None:
        """Nothing while away."""
        self._or(None, lambda: super(PatientClient, self).set_many(data, timeout))

    def delete_many(self, keys: Iterable[Any]) -> None:
        """Nothing while away."""
        self._or(None, lambda: super(PatientClient, self).delete_many(keys))

    def clear(self) -> bool:
        """False while away."""
        return self._or(False, lambda: super(PatientClient, self).clear())


class PatientRedisCache(RedisCache):
    """Django's Redis cache with the patient client; for `CACHES` in the settings."""

    def __init__(self, server: str | list[str], params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = PatientClient
