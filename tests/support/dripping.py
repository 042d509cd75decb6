"""A server whose answers drip: each byte comes soon after the previous one, but the answer never ends."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PAUSE = 0.05  # seconds between two bytes


@contextmanager
def dripping(begin: bytes, drip: bytes) -> Iterator[str]:
    """Yield the URL of a server that sends `begin`, and then `drip` byte by byte, over and over."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    server = threading.Thread(target=_serve, args=(listener, begin, drip, over))
    server.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        server.join()
        listener.close()


def _serve(listener: socket.socket, begin: bytes, drip: bytes, over: threading.Event) -> None:
    while not over.is_set():
        with suppress(OSError):  # nobody connected, or the client has gone
            connection, _ = listener.accept()
            with connection:
                connection.sendall(begin)
                while not over.is_set():
                    for byte in drip:
                        connection.sendall(bytes([byte]))
                        over.wait(PAUSE)
