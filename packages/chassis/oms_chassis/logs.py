"""Structured logs on standard output: one JSON object a line (or coloured text for a person)."""

import logging
import sys
from typing import Any

import structlog

from oms_chassis import tracing

# kafka-python says ten times a second that a broker is away; the consumer and the relay say it once, in our words.
_LIBRARIES = {
    "kafka": logging.CRITICAL,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "alembic": logging.WARNING,
    "uvicorn": logging.WARNING,
}


def logger(name: str) -> Any:
    """A logger; events are named in snake case, and no field ever holds what a customer told us."""
    return structlog.get_logger(name)


def configure(service: str, level: str, form: str) -> None:
    """Send this process's logs, the libraries' included, to standard output."""
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _origin(service),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(form)],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name, quietest in _LIBRARIES.items():
        logging.getLogger(name).setLevel(quietest)


def _renderers(form: str) -> list[Any]:
    if form == "console":
        return [structlog.dev.ConsoleRenderer()]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _origin(service: str) -> Any:
    def add(_: Any, __: str, event: Any) -> Any:
        event["service"] = service
        trace = tracing.current()
        if trace is not None:
            event.setdefault("trace_id", tracing.trace_id(trace))
        return event

    return add
