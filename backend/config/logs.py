"""How the program logs: one line an event, with the request's id and no personal data."""

import logging
import traceback
from typing import Any, TextIO

import structlog

# What every line begins with, whether it is ours or a library's.
_COMMON: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def _frames(out: TextIO, exc_info: Any) -> None:
    """Where it happened and what kind of error it was; no message, which may quote a note, and no variables."""
    error: BaseException | None = exc_info[1]
    while error is not None:
        out.writelines(["\n", *traceback.format_tb(error.__traceback__)])
        state = getattr(error, "sqlstate", None)
        out.write(f"{type(error).__qualname__}{f' {state}' if state else ''}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def configured(*, level: str) -> dict[str, Any]:
    """Sets structlog up and returns Django's LOGGING for the same lines."""
    structlog.configure(
        processors=[*_COMMON, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.captureWarnings(True)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "plain": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processor": structlog.dev.ConsoleRenderer(colors=False, exception_formatter=_frames),
                "foreign_pre_chain": _COMMON,
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "django.request": {"level": "ERROR"},
            "django.server": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            # It logs the addresses of each mail.
            "mail.log": {"level": "WARNING"},
        },
    }
