"""Locks on names instead of rows, for what two must not do at once before there is a row to lock."""

from django.db import connections


def take(name: str, *, using: str = "default") -> None:
    """Waits until no other transaction holds the lock of this name, and holds it until this transaction ends."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def take_if_free(name: str) -> bool:
    """Like `take`, without waiting: False where another transaction holds it."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [name])
        return bool(cursor.fetchone()[0])
