"""Makes errors safe to log: by class and place only. Their texts may quote what a customer sent, whoever raised them.

Records of libraries are treated alike: each error is replaced by its class, whether it is an argument of the record,
its `exc_info`, or the error that is being handled. Only the first line of a record is kept, because dumps of objects
follow it.
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
    """Return where an error was raised, as `file:line`."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"


def described(error: BaseException) -> dict[str, str]:
    """Return the fields of a log line about an error."""
    return {"error": type(error).__name__, "where": place(error.__traceback__)}


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace every error in a log line by its class. A structlog processor."""
    error = _error(event.pop("exc_info", None))
    for name, value in event.items():
        if isinstance(value, BaseException):
            event[name] = type(value).__name__
    return event if error is None else {**described(error), **event}


def message(record: logging.LogRecord) -> str:
    """Return the message of a library's record, without the texts of errors."""
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
    except Exception:  # noqa: BLE001 - the arguments do not fit: a library's mistake must not cost the line
        return str(record.msg)


def install() -> None:
    """Log errors by class and place that Python would print to standard error with their texts."""
    sys.excepthook = lambda _, error, __: _unhandled("process", error)
    threading.excepthook = lambda args: _unhandled(args.thread.name if args.thread else "?", args.exc_value)
    sys.unraisablehook = lambda args: _unhandled("cleanup", args.exc_value)
    warnings.showwarning = _warned
    logging.raiseExceptions = False


def _unhandled(thread: str, error: BaseException | None) -> None:
    if error is not None and not isinstance(error, SystemExit | KeyboardInterrupt):
        _log.error("unhandled_error", thread=thread, **described(error))


def _warned(
    message: Warning | str,  # noqa: ARG001 - Python passes these by keyword, too
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    _log.warning("python_warning", category=category.__name__, where=f"{filename}:{lineno}")


def _error(exc_info: Any) -> BaseException | None:
    """Return the error in the `exc_info` of a logging function."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exc_info()[1] if exc_info else None


def _chained(errors: Iterable[BaseException]) -> Iterator[BaseException]:
    """Yield each error, and those that led to it."""
    waiting, seen = list(errors), set[int]()
    while waiting:
        error = waiting.pop()
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield error
        inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        waiting += [one for one in (error.__cause__, error.__context__, *inner) if one is not None]
