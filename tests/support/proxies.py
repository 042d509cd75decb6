"""Runs proxies in a process of their own, so that they and the tests do not wait for each other's interpreter."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing.managers import BaseManager, MakeProxyType  # type: ignore[attr-defined] # typeshed leaves it out
from typing import Any, cast

import uvloop

from support.loops import LoopThread
from support.network import Proxy, proxy_of

_METHODS = [name for name in vars(Proxy) if not name.startswith("_")]
_Methods: Any = MakeProxyType("_Methods", _METHODS)


class _Remote(_Methods):  # type: ignore[misc] # the base class is made at run time
    """A handle of a proxy in that process."""

    port: int


class _Process(BaseManager):
    """That process."""


@contextmanager
def proxies() -> Iterator[Callable[[str], Proxy]]:
    """Yield a function that puts a proxy in front of the server of a URL; all proxies end with the block."""
    _Process.register("proxy", _started, _Remote)
    process = _Process(ctx=multiprocessing.get_context("spawn"))
    process.start(_end_with_parent)
    try:
        yield lambda url: _remote(process, url)
    finally:
        process.shutdown()


def _remote(process: Any, url: str) -> Proxy:
    made: _Remote = process.proxy(url)
    made.port = made.listens_on()
    return cast("Proxy", made)


def _started(url: str) -> Proxy:
    one = proxy_of(url, _loop())
    one.start()
    return one


@cache
def _loop() -> LoopThread:
    loop = LoopThread("proxies", uvloop.new_event_loop)
    loop.start()
    return loop


def _end_with_parent() -> None:
    """End this process with its parent, so that a test that is killed leaves no process behind."""
    threading.Thread(target=_wait_for_parent, name="parent", daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
