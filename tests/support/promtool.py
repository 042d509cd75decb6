"""Runs the chart's rules in Prometheus' own rule engine: promtool evaluates them over series that a test makes up."""

import json
import os
import subprocess
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

HERE = {"namespace": "shop", "release": "oms"}
STEP, ASKED = "30s", "40m"  # time between two samples, and the time at which firing alerts are queried
EVALUATED = "1m"  # time between two evaluations: Prometheus' default

Series = Mapping[str, str | None]
Labels = Mapping[str, str]


def series(metric: str, **labels: str) -> str:
    """Return a series in Prometheus' notation; of this installation unless labels say otherwise."""
    return metric + "{" + ",".join(f'{key}="{value}"' for key, value in sorted({**HERE, **labels}.items())) + "}"


class Rules:
    """The rules of a rendered chart, or these alerts and the recordings for them, with promtool to run them."""

    def __init__(self, promtool: str, folder: Path, rendered: Any, only: Collection[str] = ()) -> None:
        self._promtool = promtool
        self._folder = folder
        found = rendered.of("PrometheusRule")["oms"]["spec"]["groups"]
        asked = " ".join(one["expr"] for group in found for one in group["rules"] if one.get("alert") in only)
        groups = [{**group, "rules": [one for one in group["rules"] if _is_of(one, only, asked)]} for group in found]
        self.alerts: list[dict[str, Any]] = [one for group in groups for one in group["rules"] if "alert" in one]
        self.file = folder / "rules.yaml"
        # JSON is also YAML, which PyYAML would take 0.1 s of each test to write.
        self.file.write_text(json.dumps({"groups": groups}))

    def firing(self, alert: str, own: Labels) -> str:
        """Return a firing alert, as Prometheus keeps it."""
        severity = next(one["labels"]["severity"] for one in self.alerts if one["alert"] == alert)
        return series("ALERTS", alertname=alert, alertstate="firing", severity=severity, **own)

    def fire(
        self,
        given: Series,
        fires: Iterable[tuple[str, Labels]],
        asked: str = ASKED,
        step: str = "",
        evaluated: str = "",
    ) -> None:
        """Fail unless exactly these alerts fire with these series; `step` is between two samples, and between two
        evaluations unless `evaluated` is. What one group records another no longer finds after five minutes."""
        expected = [{"labels": self.firing(alert, own), "value": 1} for alert, own in fires]
        test = {
            "interval": step or STEP,
            "input_series": [{"series": one, "values": values} for one, values in given.items() if values],
            "promql_expr_test": [{"expr": 'ALERTS{alertstate="firing"}', "eval_time": asked, "exp_samples": expected}],
        }
        suite = {"rule_files": [str(self.file)], "evaluation_interval": evaluated or step or EVALUATED, "tests": [test]}
        (file := self._folder / "test.yaml").write_text(json.dumps(suite))
        done = self.run("test", "rules", str(file))
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run promtool without checking the result."""
        command = [self._promtool, *arguments]
        unhurried = {**os.environ, "GOGC": "400"}  # the process ends before there is much garbage
        return subprocess.run(command, env=unhurried, capture_output=True, text=True, timeout=120, check=False)


def _is_of(rule: Mapping[str, Any], alerts: Collection[str], asked: str) -> bool:
    """Whether a rule is one of these alerts, or a recording for the queried ones; true for all if none is named."""
    return not alerts or (rule["alert"] in alerts if "alert" in rule else rule["record"] in asked)
