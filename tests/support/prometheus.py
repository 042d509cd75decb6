"""A Prometheus that monitors the release, queried through its HTTP API."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2

from support.chassis import eventually
from support.cluster import NAMESPACE, RELEASE, Cluster

RANGE = re.compile(r"\$__(?:rate_)?interval")
LABEL_VALUES = re.compile(r"label_values\((?P<series>.*), (?P<label>\w+)\)")
OURS = {"namespace": NAMESPACE, "release": RELEASE}
Labels = Mapping[str, str]


class Prometheus:
    """The part of its API that tests use."""

    def __init__(self, url: str) -> None:
        self._client = httpx2.Client(base_url=url, timeout=30.0)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the current value of an expression."""
        found: list[dict[str, Any]] = self._get("query", query=expression)["result"]
        return found

    def targets(self) -> list[dict[str, Any]]:
        """Return the targets that belong to the release."""
        found = self._get("targets", state="active")["activeTargets"]
        return [one for one in found if OURS.items() <= one["labels"].items()]

    def services_up(self) -> set[str]:
        """Return the services of the release whose scraped pods all answer."""
        down = {one["labels"]["service"] for one in self.targets() if one["health"] != "up"}
        return {one["labels"]["service"] for one in self.targets()} - down

    def rules(self) -> list[dict[str, Any]]:
        """Return the rules of the release: alerts with its labels, and recordings of its metrics."""
        found = [rule for group in self._get("rules")["groups"] for rule in group["rules"]]
        about = f'release="{RELEASE}"'
        return [rule for rule in found if OURS.items() <= rule["labels"].items() or about in rule["query"]]

    def firing(self) -> list[Labels]:
        """Return the labels of the release's firing alerts."""
        found = self._get("alerts")["alerts"]
        return [one["labels"] for one in found if one["state"] == "firing" and OURS.items() <= one["labels"].items()]

    def await_alert(self, name: str, within: float, **labels: str) -> None:
        """Return once the alert fires with these labels."""
        wanted = {"alertname": name, **labels}
        eventually(lambda: any(wanted.items() <= one.items() for one in self.firing()), within)

    def await_silence(self, name: str, within: float, **labels: str) -> None:
        """Return once the alert no longer fires with these labels."""
        wanted = {"alertname": name, **labels}
        eventually(lambda: not any(wanted.items() <= one.items() for one in self.firing()), within)

    def _get(self, path: str, **params: str) -> Any:
        answer = self._client.get(f"/api/v1/{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


def questions(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Yield the dashboards' queries as Grafana would fill them in, each with its dashboard and panel or variable."""
    found = cluster.get("configmap", f"--selector=app.kubernetes.io/instance={RELEASE},grafana_dashboard=1")["items"]
    assert found
    for config in found:
        for text in config["data"].values():
            yield from _of(json.loads(text))


def _of(board: dict[str, Any]) -> Iterator[tuple[str, str]]:
    title = board["title"].rpartition("/ ")[2]
    values = {**OURS, "prefix": RELEASE}
    for variable in board["templating"]["list"]:
        if variable["type"] == "query" and (asked := LABEL_VALUES.fullmatch(variable["query"])):
            yield f"{title}: ${variable['name']}", _filled(f"count by ({asked['label']}) ({asked['series']})", values)
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield f"{title}: {panel['title']}", _filled(target["expr"], values)


def _filled(expression: str, values: Labels) -> str:
    for name, value in values.items():
        expression = expression.replace(f"${name}", value)
    return RANGE.sub("5m", expression)
