"""The cache: Django's Redis cache while Redis is there, an empty one that takes everything while it is not."""

import time
from typing import Any

import pytest
from django.conf import settings

from backend.common.patient_cache import PatientRedisCache


def _cache(location: str) -> PatientRedisCache:
    return PatientRedisCache(location, {"KEY_PREFIX": "patient-cache-test", "OPTIONS": {"socket_timeout": 0.25}})


def test_while_redis_is_there_it_is_a_cache_like_any_other() -> None:
    cache = _cache(settings.REDIS_URL)
    cache.set("a", [1, 2], 5)
    assert cache.get("a") == [1, 2]
    assert (cache.add("a", 3, 5), cache.has_key("a"), cache.delete("a"), cache.get("a", "none")) == (
        False, True, True, "none",
    )  # fmt: skip
    with pytest.raises(ValueError, match="not found"):
        cache.incr("a")


def test_while_redis_is_away_nothing_is_raised_and_nothing_found() -> None:
    cache: Any = _cache("redis://127.0.0.1:1/0")
    started = time.monotonic()
    assert (cache.get("a", "none"), cache.add("a", 1), cache.set("a", 1), cache.incr("a")) == ("none", True, None, 1)
    assert (cache.get_many(["a"]), cache.set_many({"a": 1}), cache.delete_many(["a"])) == ({}, [], None)
    assert (cache.delete("a"), cache.touch("a"), cache.has_key("a"), cache.clear()) == (False, False, False, False)
    assert time.monotonic() - started < 0.5


def test_it_finds_redis_again_by_itself() -> None:
    cache: Any = _cache(settings.REDIS_URL)
    servers = cache._cache._servers
    cache._cache._servers = ["redis://127.0.0.1:1/0"]
    cache.set("a", 1, 5)
    cache._cache._servers, cache._cache._pools = servers, {}
    assert cache.get("a") is None  # asks nobody so soon
    time.sleep(1.05)
    cache.set("a", 1, 5)
    assert cache.get("a") == 1
    cache.delete("a")
