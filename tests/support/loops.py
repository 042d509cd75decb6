"""An event loop in a thread of its own, for programs that are not asynchronous themselves."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

CALL = 10.0  # seconds that a call to the loop may take


class LoopThread:
    """An event loop whose methods may be called from any thread."""

    def __init__(self, name: str, new: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop) -> None:
        self._loop = new()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)

    def start(self) -> None:
        """Start the loop."""
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in the loop, and wait for its end."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL)

    def stop(self) -> None:
        """Stop the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL)
        self._loop.close()
