"""The post office of the engine's tests, for the mails of accounts."""

from tests.reminders.conftest import post

__all__ = ["post"]
