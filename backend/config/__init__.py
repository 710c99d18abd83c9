"""The wiring: settings, addresses, the Celery application, the servers."""

from backend.config.celery import app as celery_app

__all__ = ["celery_app"]
