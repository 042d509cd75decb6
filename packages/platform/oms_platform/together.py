"""Acts on several programs at the same time."""

from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

from oms_servers.errors import LocalError
from oms_servers.server import Server


def first_failure(futures: Sequence[Future[None]]) -> None:
    """Wait until all are done, or one has failed; then raise its error."""
    done, _ = wait(futures, return_when=FIRST_EXCEPTION)
    for future in done:
        future.result()


def at_once(servers: Sequence[Server], how: str) -> None:
    """Call each server's method of this name. Raises LocalError with the messages of all that failed."""
    with ThreadPoolExecutor(len(servers), how) as pool:
        errors = [error for error in pool.map(lambda server: _attempt(server, how), servers) if error]
    if errors:
        raise LocalError("; ".join(errors))


def _attempt(server: Server, how: str) -> str | None:
    try:
        getattr(server, how)()
    except OSError as error:
        return f"{server.name}: {error}"
    return None
