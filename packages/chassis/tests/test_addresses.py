"""Where a service listens: the chart's `ipv6` gives it an empty host."""

import asyncio
from socket import has_ipv6

import pytest
from starlette.responses import Response

from oms_chassis.http import server


async def addresses(host: str) -> set[str]:
    """The addresses that a server of this host listens on."""
    running = server.make(Response(), host, 0, 1.0, 5)
    serving = asyncio.create_task(running.serve())
    async with asyncio.timeout(30.0):
        while not running.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0)
    found = {socket.getsockname()[0] for one in running.servers for socket in one.sockets}
    running.should_exit = True
    await serving
    return found


IPV6 = [] if not has_ipv6 else ["::"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [("", {"0.0.0.0", *IPV6}), ("127.0.0.1", {"127.0.0.1"})],  # noqa: S104 - of the machine that runs the test
)
def test_an_empty_host_is_every_address(host: str, expected: set[str]) -> None:
    assert asyncio.run(addresses(host)) == expected
