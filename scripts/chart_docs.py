"""Writes charts/oms/README.md from its template, Chart.yaml, the comments in values.yaml and the services' settings.

It also writes the settings into values.schema.json, and which service has which into files/settings.json. `--check`
fails if one of them is stale.

A comment that begins with `# -- ` describes the value below it, as in helm-docs; `# @default -- ` replaces a default
that would not fit into a table.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[1] / "charts" / "oms"
_KEY = re.compile(r"^( *)([A-Za-z_][\w.-]*):(.*)$")


@dataclass(frozen=True)
class Value:
    """A documented value: its path, its default as text, and its description."""

    path: tuple[str, ...]
    default: str
    about: str


def documented(text: str) -> Iterator[Value]:
    """Yield every value that has a `# -- ` comment, in the order of the file."""
    values = yaml.safe_load(text)
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            comment = [stripped] if stripped.startswith("# -- ") else [*comment, stripped]
            continue
        if match := _KEY.match(line):
            indent = len(match[1])
            path = [*(one for one in path if one[0] < indent), (indent, match[2])]
            if comment and comment[0].startswith("# -- "):
                keys = tuple(key for _, key in path)
                yield Value(keys, _default(comment, _at(values, keys)), _about(comment))
        comment = []


def undocumented(text: str) -> list[str]:
    """Return the paths of values without a comment. Those under `services` are explained by `serviceDefaults`."""
    known = {value.path for value in documented(text)}
    return [".".join(path) for path in _leaves(yaml.safe_load(text)) if not any(path[:n] in known for n in range(9))]


def readme(chart: dict[str, Any], values: str) -> str:
    """Return the whole README."""
    rows = [f"| `{'.'.join(one.path)}` | {one.default} | {one.about} |" for one in documented(values)]
    table = "\n".join(["| Value | Default | What it is |", "|---|---|---|", *rows])
    template = (CHART / "README.template.md").read_text()
    filled = template.replace("{{description}}", chart["description"]).replace("{{values}}", table)
    return filled.replace("{{settings}}", _settings_table())


# Settings that the chart sets from other values, or that are of no use in a pod.
ELSEWHERE = {
    "database_url": "the service's database secret",
    "database_pool": "`database.pool`",
    "state_folder": "a volume of the pod",
    "http_host": "the pod's",
    "http_port": "the pod's",
    "internal_port": "the pod's",
    "auth": "`auth.mode`",
    "jwt_issuer": "`auth.jwt`",
    "jwt_audience": "`auth.jwt`",
    "log_level": "`logLevel`",
    "traces_endpoint": "`tracing`",
    "traces_ratio": "`tracing`",
    "log_format": "JSON, for whatever collects the logs",
    "currency": "`currency`",
    "drain_seconds": "`shutdown.drainSeconds`",
    "migrate_on_start": "an init container migrates",
    "kafka_bootstrap": "`kafka`",
    "kafka_prefix": "`kafka`",
    "kafka_security_protocol": "`kafka`",
    "kafka_sasl_mechanism": "`kafka`",
    "kafka_username": "`kafka`",
    "kafka_password": "`kafka`",
    "kafka_ca_file": "`kafka`",
    "kafka_cert_file": "`kafka`",
    "kafka_key_file": "`kafka`",
    "kafka_partitions": "`topics`, `topicDefaults`",
    "kafka_replication": "`topics`, `topicDefaults`",
    "kafka_min_in_sync": "`topics`, `topicDefaults`",
    "kafka_topics": "`topics`, `topicDefaults`",
    "admin_token": "a secret that the chart makes",
    "gateway": "`services.order.env`, `services.payment.env`",
    "default_region": "`services.order.env`",
    "fingerprint_key": "a secret that the chart makes",
    "fingerprint_key_previous": "`services.order.envFromSecrets`",
    "catalogue": "`catalogue`",
    "smtp_host": "`notifications.smtp`",
    "smtp_port": "`notifications.smtp`",
    "smtp_starttls": "`notifications.smtp`",
    "smtp_implicit_tls": "`notifications.smtp`",
    "smtp_username": "`notifications.smtp.existingSecret`",
    "smtp_password": "`notifications.smtp.existingSecret`",
    "email_from": "`notifications.smtp`",
    "sms_url": "`notifications.sms`",
    "sms_from": "`notifications.sms`",
    "sms_token": "`notifications.sms.existingSecret`",
}
_RULES = ("type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "pattern", "enum")
_SETTINGS = re.compile(r'^    "settings": \{"type".*$', re.MULTILINE)
_SERVICES = re.compile(r'(?<="services": \{\n      "type": "object",\n)      "properties": .*$', re.MULTILINE)


def settings() -> dict[str, tuple[list[str], dict[str, Any]]]:
    """Return the fields that `settings` may have: for each, the services that read it, and its JSON Schema."""
    found: dict[str, tuple[list[str], dict[str, Any]]] = {}
    for service in sorted(path.name for path in (CHART.parents[1] / "services").iterdir() if path.is_dir()):
        model = import_module(f"oms_{service}.main").SERVICE.settings
        for name, field in model.model_json_schema()["properties"].items():
            if name not in ELSEWHERE:
                found.setdefault(name, ([], field))[0].append(service)
    return found


def camel(name: str) -> str:
    """Return a field's name in camel case, as values files have it."""
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def schema(text: str) -> str:
    """Return the values' schema with the current settings of the services."""
    properties = {camel(name): _rules(field) for name, (_, field) in settings().items()}
    wanted = {"type": "object", "additionalProperties": False, "properties": properties}
    text = _SETTINGS.sub(lambda _: f'    "settings": {json.dumps(wanted)},', text)
    return _SERVICES.sub(lambda _: f'      "properties": {json.dumps(_services())},', text)


def owners() -> dict[str, Any]:
    """Return the settings that all services have, and each service's own ones. A service without any of its own is not
    included: the chart treats it like one that it does not know."""
    found = settings()
    every = {service for services, _ in found.values() for service in services}
    common = [camel(name) for name, (services, _) in found.items() if set(services) == every]
    own = {
        service: [camel(name) for name, (services, _) in found.items() if service in services]
        for service in sorted(every)
    }
    besides = {service: [name for name in names if name not in common] for service, names in own.items()}
    return {"common": common, "own": {service: names for service, names in besides.items() if names}}


def _services() -> dict[str, Any]:
    """Return the JSON Schemas of the known services: each has only the settings that the service reads."""
    known = owners()
    return {
        service: {
            "allOf": [{"$ref": "#/definitions/service"}, {"properties": {"settings": _only(known["common"] + own)}}]
        }
        for service, own in known["own"].items()
    }


def _only(names: list[str]) -> dict[str, Any]:
    return {"additionalProperties": False, "properties": dict.fromkeys(names, True)}


def _rules(field: dict[str, Any]) -> dict[str, Any]:
    one = next((kind for kind in field.get("anyOf", ()) if kind.get("type") != "null"), field)
    if one.get("type", "array") == "array":  # as in the variable: separated by commas
        return {"type": "string"}
    return {rule: one[rule] for rule in _RULES if rule in one}


def _settings_table() -> str:
    every = len({service for services, _ in settings().values() for service in services})
    rows = [
        f"| `{camel(name)}` | {'all' if len(services) == every else ', '.join(services)} "
        f"| `{json.dumps(field.get('default'))}` | {field.get('description', '')} |"
        for name, (services, field) in settings().items()
    ]
    return "\n".join(["| Setting | Of | Default | What it is |", "|---|---|---|---|", *rows])


def main() -> int:
    """Write the files, or compare them (--check). Return the exit code, 1 if one is stale."""
    wanted = {
        "README.md": readme(yaml.safe_load((CHART / "Chart.yaml").read_text()), (CHART / "values.yaml").read_text()),
        "values.schema.json": schema((CHART / "values.schema.json").read_text()),
        "files/settings.json": json.dumps(owners(), indent=1) + "\n",
    }
    stale = [name for name, text in wanted.items() if _current(CHART / name) != text]
    if "--check" in sys.argv:
        print(*(f"charts/oms/{name} is stale: run scripts/chart_docs.py" for name in stale), sep="\n")
        return int(bool(stale))
    for name, text in wanted.items():
        (CHART / name).write_text(text)
    return 0


def _current(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values[key]
    return values


def _default(comment: list[str], value: Any) -> str:
    for line in comment:
        if line.startswith("# @default -- "):
            return line.removeprefix("# @default -- ")
    return "see below" if isinstance(value, dict) and value else f"`{json.dumps(value)}`"


def _about(comment: list[str]) -> str:
    words = [line.removeprefix("# -- ").removeprefix("# ") for line in comment if not line.startswith("# @")]
    return " ".join(words).replace("|", "\\|")


def _leaves(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key)


if __name__ == "__main__":
    raise SystemExit(main())
