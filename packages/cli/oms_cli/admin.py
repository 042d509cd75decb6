"""A client for the services' admin APIs: those of `oms up`, or those that the environment names."""

import getpass
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx2

from oms_cli import connections, unanswered
from oms_cli.answers import Refused, check, first, listed, read
from oms_cli.client import Json
from oms_cli.headers import sendable
from oms_cli.portions import PAGE, Portion, cut
from oms_cli.unanswered import Unreachable
from oms_contracts.topics import SERVICES
from oms_platform import tokens
from oms_platform.addresses import HOST, Addresses
from oms_platform.running import Running, home
from oms_servers.errors import LocalError

_LOOK_FIRST = "Look with `oms payments show ORDER` or `oms audit list` first, then repeat it if it was not"


class NoToken(LocalError):
    """The admin APIs require a token, and there is none."""


@dataclass(frozen=True)
class Acting:
    """Who acts, why, and whether it is a dry run: these are headers of every request."""

    operator: str | None = None
    reason: str | None = None
    dry_run: bool = False

    def headers(self) -> dict[str, str]:
        named = {"OMS-Operator": quote(self.operator or _user())}
        reason = {"OMS-Reason": quote(self.reason)} if self.reason else {}
        return named | reason | ({"OMS-Dry-Run": "true"} if self.dry_run else {})


class Admin:
    """The admin API of each service at these URLs, for one operator."""

    def __init__(self, urls: Mapping[str, str], token: str, acting: Acting) -> None:
        self.urls, self.acting = urls, acting
        headers = {"Authorization": f"Bearer {sendable('An admin token', token)}", **acting.headers()}
        self._http = connections.client(headers)

    @classmethod
    def of_environment(cls, acting: Acting, given: Sequence[str] = ()) -> Self:
        """Use OMS_ADMIN_TOKEN, and the URLs in `given` (each as `service=URL`) or in OMS_ADMIN_URL_<SERVICE>.

        By default, the token and the URLs are those of `oms up`.
        """
        token = os.environ.get("OMS_ADMIN_TOKEN", "").partition(",")[0].strip() or tokens.kept(home())
        if not token:
            raise NoToken(
                "There is no admin token",
                "`make up` makes one for this machine; OMS_ADMIN_TOKEN is that of another OMS "
                "(kubectl -n oms get secret oms-admin -o jsonpath='{.data.token}' | base64 -d)",
            )
        named = dict(_named(one) for one in given)
        return cls({service: _url(service, named) for service in SERVICES}, token, acting)

    @classmethod
    def of_running(cls, home: Path, acting: Acting) -> Self:
        """Use the `oms up` in this folder, whatever the environment names."""
        running = Running(home)
        urls = {service: f"http://{HOST}:{running.find(service).health}" for service in SERVICES}
        return cls(urls, tokens.kept(home), acting)

    def get(self, service: str, path: str, **params: str | int | None) -> Json:
        """GET a path of a service's admin API."""
        return read(self._ask("GET", service, path, params=_given(params)))

    def pages(self, service: str, path: str, limit: int, **params: str | int | None) -> Portion:
        """Return the first `limit` rows of a list, from as many pages as that takes."""
        page = self._ask("GET", service, path, params=_given(params) | {"limit": min(limit, PAGE)})
        return first(page, limit, lambda link: self._ask("GET", service, link))

    def pages_of(
        self,
        services: Iterable[str],
        path: str,
        limit: int,
        by: str,
        label: str = "service",
        newest: bool = False,
        /,
        **params: str | int | None,
    ) -> Portion:
        """Return the first `limit` rows of several services' lists together, by the time in the field `by`: the oldest,
        or the newest. Each has its service's name in the field `label`."""
        lists = {name: self.pages(name, path, limit, **params) for name in services}
        rows = [{label: name, **one} for name, found in lists.items() for one in found]
        rows.sort(key=lambda one: datetime.fromisoformat(one[by]), reverse=newest)
        return cut(rows, limit, goes_on=any(found.is_cut for found in lists.values()))

    def act(self, service: str, path: str, method: str = "POST", **body: Any) -> Json:
        """Send a command to a path, and return its answer. A dry run gets the same answer, and changes nothing."""
        return read(self._ask(method, service, path, json=body or None))

    def look(self, service: str, path: str, **body: Any) -> Json:
        """Return the answer of a POST that changes nothing except the audit log, so that it may be repeated."""
        return read(self._ask("POST", service, path, only_looks=True, json=body or None))

    def all(self, service: str, path: str, method: str = "GET", **body: Any) -> list[Json]:
        """Return a list without pages, or what it is after a command."""
        return listed(self._ask(method, service, path, json=body or None))

    def _ask(self, method: str, service: str, path: str, *, only_looks: bool = False, **more: Any) -> httpx2.Response:
        if service not in self.urls:
            raise LocalError(f"There is no service {service}", f"Services are: {', '.join(self.urls)}")
        if only_looks or self.acting.dry_run or unanswered.looks(method):
            return self._answer(method, service, path, only_looks=True, **more)
        with unanswered.advising(_LOOK_FIRST):
            return self._answer(method, service, path, only_looks=False, **more)

    def _answer(self, method: str, service: str, path: str, *, only_looks: bool, **more: Any) -> httpx2.Response:
        url = connections.shown(self.urls[service])
        try:
            response = self._http.request(
                method, f"{self.urls[service]}{path}", headers={"OMS-Service": service}, **more
            )
        except unanswered.FAILURES as error:
            what = f"{service} at {url}{path.partition('?')[0]}"
            raise unanswered.of(error, what, _unreachable(service, url), only_looks=only_looks) from error
        if response.status_code == 401:
            raise Refused(f"{service} does not take this admin token", f"OMS_ADMIN_TOKEN is to be that of {url}")
        if response.status_code == 421:
            raise _elsewhere(service, url)
        return check(response)


def _given(params: Mapping[str, str | int | None]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _variable(service: str) -> str:
    return f"OMS_ADMIN_URL_{service.upper().replace('-', '_')}"


def _url(service: str, named: Mapping[str, str]) -> str:
    local = f"http://{HOST}:{Addresses.local().internal[service]}"
    return (named.get(service) or os.environ.get(_variable(service)) or local).rstrip("/")


def _named(given: str) -> tuple[str, str]:
    service, _, url = given.partition("=")
    if service not in SERVICES or not url:
        raise LocalError("--url is SERVICE=URL", f"Services are: {', '.join(SERVICES)}")
    return service, url


def _user() -> str:
    """Return the name of this machine's user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise LocalError("Nobody knows who you are", "--as NAME says it") from None


def _elsewhere(service: str, url: str) -> Unreachable:
    return Unreachable(
        f"The admin API at {url} is not that of {service}", f"{_variable(service)} or --url says where {service} is"
    )


def _unreachable(service: str, url: str) -> Unreachable:
    port = url.rpartition(":")[2]  # a forward ends with its pod, and this command restores it at the same URL
    forward = f"kubectl -n oms port-forward deploy/oms-{service} {port if port.isdigit() else 9100}:9100"
    return Unreachable(
        f"The admin API of {service} at {url} does not answer",
        f"`make up` starts OMS on this machine; {_variable(service)} or --url names another ({forward})",
    )
