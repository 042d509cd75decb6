"""Errors as they may be logged: by class and place. Their texts may quote what a customer sent, whoever raised them.

Records of libraries go the same way: an error among a record's arguments, the one it was logged with and the one that
is being handled are each replaced by their class. Only a record's first line is kept, since dumps of objects follow it.
"""

import logging
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator, MutableMapping
from types import TracebackType
from typing import Any, TextIO

import structlog

_log = structlog.get_logger(__name__)


def place(trace: TracebackType | None) -> str:
    """Where an error was raised, as `file:line`."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"


def described(error: BaseException) -> dict[str, str]:
    """The fields of a log line about an error."""
    return {"error": type(error).__name__, "where": place(error.__traceback__)}


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace every error in a line by its class; a structlog processor."""
    error = _error(event.pop("exc_info", None))
    for name, value in event.items():
        if isinstance(value, BaseException):
            event[name] = type(value).__name__
    return event if error is None else {**described(error), **event}


def message(record: logging.LogRecord) -> str:
    """What a library's record says, without an error's text."""
    args = record.args if isinstance(record.args, tuple) else (record.args,)
    logged = [one for one in (record.msg, *args) if isinstance(one, BaseException)]
    with_it = [one for one in (_error(record.exc_info), sys.exc_info()[1]) if one is not None]
    shown = _formatted(record)
    for error in _chained([*logged, *with_it]):
        for text in (repr(error), str(error)):
            if text:
                shown = shown.replace(text, type(error).__name__)
    return shown.partition("\n")[0]


def _formatted(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit: what a library does wrong must not cost the line
        return str(record.msg)


def install() -> None:
    """Log by class and place what Python would print to standard error with its text."""
    sys.excepthook = lambda _, error, __: _unhandled("process", error)
    threading.excepthook = lambda args: _unhandled(args.thread.name if args.thread else "?", args.exc_value)
    sys.unraisablehook = lambda args: _unhandled("cleanup", args.exc_value)
    warnings.showwarning = _warned
    logging.raiseExceptions = False


def _unhandled(thread: str, error: BaseException | None) -> None:
    if error is not None and not isinstance(error, SystemExit | KeyboardInterrupt):
        _log.error("unhandled_error", thread=thread, **described(error))


def _warned(
    message: Warning | str,  # noqa: ARG001 - these names are given by name, too
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    _log.warning("python_warning", category=category.__name__, where=f"{filename}:{lineno}")


def _error(exc_info: Any) -> BaseException | None:
    """The error in what the logging functions take as `exc_info`."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None


def _chained(errors: Iterable[BaseException]) -> Iterator[BaseException]:
    """Each error, and those that led to it."""
    waiting, seen = list(errors), set[int]()
    while waiting:
        error = waiting.pop()
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        waiting += [one for one in (error.__cause__, error.__context__, *inner) if one is not None]
