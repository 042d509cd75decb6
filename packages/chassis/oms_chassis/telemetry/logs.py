"""Structured logs on standard output: one JSON object per line (or coloured text for a person)."""

import logging
import sys
from typing import Any

import structlog

from oms_chassis.telemetry import redaction, tracing

# kafka-python logs ten times a second that a broker is unavailable; the consumer and the relay log it once, in our
# terms.
_LIBRARIES = {
    "kafka": logging.CRITICAL,
    "alembic": logging.WARNING,
    "opentelemetry": logging.CRITICAL,  # its errors quote answers of the collector
    "uvicorn": logging.WARNING,
}


def logger(name: str) -> Any:
    """Return a logger. Events have names in snake case, and no field ever contains what a customer sent."""
    return structlog.get_logger(name)


def configure(service: str, level: str, form: str) -> None:
    """Send this process's logs, including those of libraries, to standard output. No line contains an error's text."""
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
        _Formatter(
            foreign_pre_chain=shared,
            processors=[_Formatter.remove_processors_meta, redaction.redact, _renderer(form)],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name, quietest in _LIBRARIES.items():
        logging.getLogger(name).setLevel(quietest)
    redaction.install()


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        if not hasattr(record, "_logger"):  # from a library that does not use structlog
            said = redaction.message(record)
            record = logging.makeLogRecord({**record.__dict__, "msg": said, "args": None})
        return super().format(record)


def _renderer(form: str) -> Any:
    return structlog.dev.ConsoleRenderer() if form == "console" else structlog.processors.JSONRenderer()


def _origin(service: str) -> Any:
    def add(_: Any, __: str, event: Any) -> Any:
        event["service"] = service
        trace = tracing.current()
        if trace is not None:
            event.setdefault("trace_id", tracing.trace_id(trace))
            event.setdefault("span_id", tracing.span_id(trace))
        return event

    return add
