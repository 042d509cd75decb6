"""The ports on which the parts of a platform listen."""

import os
from dataclasses import dataclass
from typing import Self

from oms_contracts.topics import SERVICES
from oms_servers.errors import LocalError
from oms_servers.ports import free_port

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Addresses:
    """Ports on 127.0.0.1; the dictionaries are by service name."""

    http: dict[str, int]
    internal: dict[str, int]
    database: dict[str, int]
    kafka: int
    controller: int
    smtp: int
    mailcatcher: int

    @classmethod
    def local(cls) -> Self:
        """The ports of `make up`, the same each time: order answers on 9090. OMS_PORT_SHIFT moves them all.

        A service's index in SERVICES is its index in each range, so a new one at the end does not move the others.
        """
        shift = _shift()
        places = {name: shift + place for place, name in enumerate(SERVICES)}
        return cls(
            http={name: 9090 + place for name, place in places.items()},
            internal={name: 9100 + place for name, place in places.items()},
            database={name: 15432 + place for name, place in places.items()},
            kafka=shift + 19092,
            controller=shift + 19093,
            smtp=shift + 10025,
            mailcatcher=shift + 10026,
        )

    @classmethod
    def free(cls) -> Self:
        """Ports that nothing uses, for tests."""
        http, internal, database = ({name: free_port() for name in SERVICES} for _ in range(3))
        return cls(http, internal, database, *(free_port() for _ in range(4)))


def _shift() -> int:
    given = os.environ.get("OMS_PORT_SHIFT", "0")
    if not given.isdecimal() or int(given) > 40_000:
        raise LocalError("OMS_PORT_SHIFT must be a number from 0 to 40000")
    return int(given)
