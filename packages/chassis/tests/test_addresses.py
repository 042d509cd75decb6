"""The addresses where a service listens: the chart's `ipv6` gives it an empty host."""

import asyncio
import socket

import pytest
from starlette.responses import Response
from structlog.testing import capture_logs

from oms_chassis.http import server


async def addresses(host: str) -> set[str]:
    """Return the addresses that a server with this host listens on."""
    running = server.make(Response(), host, 0, 1.0, 5)
    serving = asyncio.create_task(running.serve())
    async with asyncio.timeout(30.0):
        while not running.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0)
    found = {listening.getsockname()[0] for one in running.servers for listening in one.sockets}
    running.should_exit = True
    await serving
    return found


IPV6 = [] if not socket.has_ipv6 else ["::"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [("", {"0.0.0.0", *IPV6}), ("127.0.0.1", {"127.0.0.1"})],  # noqa: S104 - of the machine that runs the test
)
def test_an_empty_host_means_every_address(host: str, expected: set[str]) -> None:
    assert asyncio.run(addresses(host)) == expected


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, capture_logs() as lines:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit):
            asyncio.run(server.make(Response(), "127.0.0.1", port, 1.0, 5).serve())
    expected = {"event": "cannot_listen", "host": "127.0.0.1", "port": port, "error": "EADDRINUSE"}
    assert [expected | {"log_level": "error"}] == lines
