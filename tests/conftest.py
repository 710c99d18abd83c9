"""What every test stands on: a real database with the application's role, a real cast, real servers where asked for."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connections
from django.db.utils import ProgrammingError

from tests import cast as casting
from tests import databases
from tests.live import App, Stack, run_stack, serve, worker

# Numbered databases of Redis: 0 is the demo's, 1 the launcher's word for tests, each worker has one of its own.
FIRST_REDIS = 2


def pytest_configure(config: pytest.Config) -> None:
    """What one worker's tests count in the cache is not emptied by another's."""
    url = f"{settings.REDIS_URL.rpartition('/')[0]}/{FIRST_REDIS + worker() % 6}"
    settings.REDIS_URL = settings.CELERY_BROKER_URL = settings.CACHES["default"]["LOCATION"] = url
    # Tests ask faster than people; those of the limits themselves turn them on.
    settings.RATE_LIMITS = "off"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The contract's tests take longest and begin first, so that nobody waits for them at the end."""
    items.sort(key=lambda item: item.path.name != "test_contract.py")


def pytest_collection_finish() -> None:
    """What is loaded by now stays to the end: to look for garbage in it took a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


KEPT = {"django_migrations", "django_content_type", "auth_permission", "django_site"}
TRAIL = ("accounts_auditevent", "accounts_auditsubject", "accounts_auditlink", "accounts_auditpending")


@pytest.fixture(scope="session")
def django_db_setup(request: pytest.FixtureRequest, django_db_blocker: pytest.FixtureDef) -> Iterator[str]:
    """One database for each worker, made by its owner; the tests themselves run as the application's role."""
    worker = getattr(request.config, "workerinput", {}).get("workerid", "main")
    with django_db_blocker.unblock():
        name = databases.make(worker)
    yield name
    with django_db_blocker.unblock():
        databases.drop(name)


@pytest.fixture
def database(django_db_setup: str, django_db_blocker: pytest.FixtureDef) -> Iterator[str]:
    """A database in which commits are commits; emptied afterwards by its owner."""
    with django_db_blocker.unblock():
        yield django_db_setup
        _empty()
    cache.clear()


@pytest.fixture
def cast(database: str) -> casting.Cast:
    """The fixed small cast, in the database."""
    return casting.assemble()


@pytest.fixture(scope="session")
def live_app(django_db_setup: str) -> Iterator[App]:
    """The API server itself, on loopback, on this worker's database."""
    with serve(django_db_setup) as app:
        yield app


@pytest.fixture(scope="module")
def running_stack(django_db_setup: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Web, worker, beat and mailbox, for one module: a beat that went on would claim what other tests make due."""
    with run_stack(django_db_setup, tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def stack(running_stack: Stack, cast: casting.Cast) -> Stack:
    """The running stack, with the cast in its database and an empty mailbox."""
    for key in running_stack.mail.keys():  # noqa: SIM118 - a mail folder, no dict
        running_stack.mail.drop(key)
    return running_stack


def _empty() -> None:
    for alias in connections:
        connections[alias].close()
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = sorted({row[0] for row in cursor.fetchall()} - KEPT)
        # Row-level security is forced on the owner too; a session of maintenance sees what is there.
        cursor.execute("SET afterglow.purpose = 'maintenance: empty'")
        probes = " UNION ALL ".join(f"SELECT '{t}' WHERE EXISTS (SELECT FROM \"{t}\")" for t in tables)
        cursor.execute(probes)
        filled = [row[0] for row in cursor.fetchall()]
        try:
            # Few rows are gone sooner by DELETE than by new files; without triggers, since history and trail refuse.
            cursor.execute("SET session_replication_role = replica")
            cursor.execute(";".join(f'DELETE FROM "{table}"' for table in filled) or "SELECT 1")
            cursor.execute("RESET session_replication_role")
        except ProgrammingError:  # a server of one's own, on which the owner may not
            _truncate(cursor, filled)
        cursor.execute("RESET afterglow.purpose")


def _truncate(cursor: Any, filled: list[str]) -> None:
    if without := [table for table in filled if table not in TRAIL]:
        cursor.execute(f"TRUNCATE {', '.join(without)} CASCADE")
    # The audit trail refuses to be emptied, and tells of the tables that were.
    cursor.execute("".join(f"ALTER TABLE {table} DISABLE TRIGGER USER;" for table in TRAIL))
    cursor.execute(f"TRUNCATE {', '.join(TRAIL)}")
    cursor.execute("".join(f"ALTER TABLE {table} ENABLE TRIGGER USER;" for table in TRAIL))
