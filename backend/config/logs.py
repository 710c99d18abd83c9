"""How the program logs: one line an event, with the request's id and no personal data."""

import logging
import sys
import threading
import traceback
from types import TracebackType
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


class Discreet(logging.Filter):
    """Takes from other people's log lines what may quote a person: messages of errors, arguments of tasks, paths."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every line through, made discreet."""
        request = getattr(record, "request", None)
        if record.name.startswith("django.security.") and not record.args:
            record.msg = record.name.rpartition(".")[2]  # the message itself quotes what was sent
        if isinstance(record.args, dict):
            record.args = {name: self._told(name, value, record) for name, value in record.args.items()}
        elif record.args:
            record.args = tuple(
                _route(request) if request is not None and value == getattr(request, "path", None)
                else type(value).__qualname__ if isinstance(value, BaseException)
                else value
                for value in record.args
            )  # fmt: skip
        return True

    def _told(self, name: str, value: Any, record: logging.LogRecord) -> Any:
        """Celery hands over the error, its traceback, arguments and results as text."""
        if name == "exc":
            return record.exc_info[0].__qualname__ if record.exc_info and record.exc_info[0] else "an error"
        return "…" if name in {"traceback", "args", "kwargs", "return_value"} else value


def _route(request: Any) -> str:
    """The address as the URL configuration has it, since an address that was typed may hold anything."""
    return f"/{getattr(getattr(request, 'resolver_match', None), 'route', '…')}"


def quiet_hooks() -> None:
    """What ends a process or a thread is told without its message too; Python itself would print it."""

    def tell(kind: type[BaseException], error: BaseException | None, frames: TracebackType | None) -> None:
        if error is not None and not isinstance(error, KeyboardInterrupt | SystemExit):
            logging.getLogger("backend").critical("ended by an error", exc_info=(kind, error, frames))

    sys.excepthook = tell
    threading.excepthook = lambda args: tell(args.exc_type, args.exc_value, args.exc_traceback)
    sys.unraisablehook = lambda args: tell(args.exc_type, args.exc_value, args.exc_traceback)


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
        "filters": {"discreet": {"()": Discreet}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["discreet"]}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # Django's own would send mails with all variables to administrators.
            "django": {"handlers": [], "propagate": True},
            "django.request": {"level": "ERROR"},
            # At DEBUG these write out statements with their values, messages and what they carry.
            "django.db.backends": {"level": "WARNING"},
            "django.template": {"level": "INFO"},
            "kombu": {"level": "INFO"},
            "celery": {"level": "INFO"},
            "asyncio": {"level": "INFO"},
            "django.server": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            # It logs the addresses of each mail.
            "mail.log": {"level": "WARNING"},
        },
    }
