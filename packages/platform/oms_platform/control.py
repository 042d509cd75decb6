"""The Unix socket in a platform's folder by which another process controls the platform.

A request is one JSON object on a line, `{"action": "kill", "name": "payment"}`; the answer is another:
`{"done": "..."}` in a sentence, or `{"error": "...", "advice": "..."}`.
"""

import errno
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from oms_platform.running import Running
from oms_servers.errors import LocalError

NAME = "control"
Action = Callable[[str, str], str]  # what to do with which program; answers with a sentence
REQUEST_SECONDS = 2.0  # a client sends its line at once
ANSWER_SECONDS = 60.0  # a service drains for up to 25


class Control:
    """The listening end. Only this user may connect."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._socket = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> Self:
        remove(self._home)  # of a run that was killed
        with _address(self._home) as address:
            self._bind(address)
        (self._home / NAME).chmod(0o600)
        self._socket.listen()
        return self

    def _bind(self, address: str) -> None:
        try:
            self._socket.bind(address)
        except OSError as error:
            self._socket.close()
            if error.errno != errno.EADDRINUSE:
                raise
            what = f"{self._home / NAME} is in the way: OMS has not made it"
            raise LocalError(what, "Move it, or set OMS_HOME to another folder") from None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()
        (self._home / NAME).unlink(missing_ok=True)

    def serve(self, act: Action, seconds: float) -> None:
        """Answer one request, if one arrives within `seconds`."""
        self._socket.settimeout(seconds)
        try:
            client, _ = self._socket.accept()
        except TimeoutError:
            return
        with client:
            client.settimeout(REQUEST_SECONDS)
            try:
                request = _receive(client)
            except (OSError, ValueError):
                return  # the client disconnected, or is not `oms`
            answer = _answer(act, request)
            with suppress(OSError):
                _send(client, answer)


def remove(home: Path) -> None:
    """Remove the socket of a run that was killed, but nothing that OMS did not make, and no socket that is in use."""
    with suppress(OSError):
        if (home / NAME).is_socket() and _is_silent(home):
            (home / NAME).unlink()


def _is_silent(home: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client, _address(home) as address:
        client.setblocking(False)
        try:
            client.connect(address)
        except ConnectionRefusedError:
            return True
    return False


def ask(home: Path, action: str, name: str) -> str:
    """Have the platform that is up in this folder act on one of its programs, and return what it did."""
    Running(home).find(name)
    try:
        answer = _exchange(home, {"action": action, "name": name})
    except (FileNotFoundError, ConnectionRefusedError):
        raise LocalError("OMS is starting or stopping", "`oms status` shows when all is ready") from None
    except (OSError, ValueError):
        raise LocalError("`oms up` gave no answer", "Its terminal, or .oms/logs/up.log, may say why") from None
    if "error" in answer:
        raise LocalError(answer["error"], answer["advice"])
    return str(answer["done"])


def _exchange(home: Path, request: dict[str, str]) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as server, _address(home) as address:
        server.settimeout(ANSWER_SECONDS)
        server.connect(address)
        _send(server, request)
        return _receive(server)


def _answer(act: Action, request: dict[str, Any]) -> dict[str, str]:
    try:
        return {"done": act(request.get("action", ""), request.get("name", ""))}
    except LocalError as error:
        return {"error": error.message, "advice": error.advice}


def _send(to: socket.socket, document: dict[str, str]) -> None:
    to.sendall(json.dumps(document).encode() + b"\n")


def _receive(source: socket.socket) -> dict[str, Any]:
    with source.makefile("rb") as lines:
        document = json.loads(lines.readline(1 << 16))
    return document if isinstance(document, dict) else {}


@contextmanager
def _address(home: Path) -> Iterator[str]:
    """Yield the socket's path, within the kernel's limit of 107 bytes even if the folder's path is longer."""
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{NAME}"
    finally:
        os.close(folder)
