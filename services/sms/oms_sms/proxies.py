"""The egress proxy of a cluster, as HTTPS_PROXY and NO_PROXY name it when the service starts."""

from base64 import b64encode
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

LOGIN_REQUIRED = 407


class TunnelRefused(OSError):
    """The proxy does not connect to the provider, which has seen nothing."""


class ProxyLoginRefused(TunnelRefused):
    """The proxy requires a login, or another one."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy's address, and the value of its Proxy-Authorization header, if it needs one."""

    address: tuple[str, int]
    login: str | None = field(repr=False)

    def open_tunnel(self, line: Any, host: str, port: int) -> None:
        """Connect a socket (`line`) to the proxy with a host. Raises OSError or HTTPException."""
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
        if self.login is not None:
            lines.append(f"Proxy-Authorization: {self.login}")
        line.sendall("\r\n".join([*lines, "", ""]).encode())
        response = HTTPResponse(line, method="CONNECT")
        response.begin()
        if response.status == LOGIN_REQUIRED:
            raise ProxyLoginRefused
        if not 200 <= response.status < 300:
            raise TunnelRefused


def before(host: str, port: int) -> Proxy | None:
    """Return the proxy through which an https address is called, or None. Raises ValueError if it is unusable."""
    given = getproxies().get("https")
    if not given or proxy_bypass(f"{host}:{port}"):
        return None
    try:
        url = urlsplit(given if "://" in given else f"http://{given}")
        address = url.hostname or "", url.port or 80
    except ValueError:
        raise _unusable() from None
    if url.scheme != "http" or not url.hostname:
        raise _unusable()
    return Proxy(address, _login(url))


def _login(url: SplitResult) -> str | None:
    if url.username is None:
        return None
    given = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return f"Basic {b64encode(given.encode()).decode()}"


def _unusable() -> ValueError:
    return ValueError("HTTPS_PROXY must be the http address of a proxy, such as http://proxy.example.com:3128")
