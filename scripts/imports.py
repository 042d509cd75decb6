"""Check which package imports which, by import-linter. The rules are here; the services are found in their folder.

All rules apply to a new service without its being listed anywhere.
"""

import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from importlinter import cli

ROOT = Path(__file__).resolve().parent.parent
# Dockerfile.base lists the packages that are in no production image; the list is used here too.
_NOT_SHIPPED = re.findall(r'^ARG NOT_SHIPPED="(.*)"', (ROOT / "Dockerfile.base").read_text(), re.MULTILINE)[0]
NEVER_SHIPPED = tuple(f"oms_{name}" for name in _NOT_SHIPPED.split())
OUTSIDE = (
    "alembic",
    "fastapi",
    "httpx2",
    "kafka",
    "psycopg",
    "pydantic_settings",
    "sqlalchemy",
    "sqlmodel",
    "structlog",
)
Contract = Mapping[str, str | Sequence[str]]


def found(folder: str) -> list[str]:
    """Return the packages in the folders of `packages` or `services`."""
    return sorted(path.parent.name for path in (ROOT / folder).glob("*/oms_*/__init__.py"))


def contracts() -> list[Contract]:
    """Return every rule."""
    services, packages = found("services"), found("packages")
    products = [one for one in packages if one not in NEVER_SHIPPED]
    everything = [*packages, *services]
    wings = [f"oms_chassis.{wing}" for wing in ("messaging", "jobs", "http")]
    domains = [f"{one}.domain" for one in services if (ROOT / "services" / one[4:] / one / "domain.py").exists()]
    return [
        {"name": "A service never imports another service", "type": "independence", "modules": services},
        {"name": "Packages never import services, and are in layers", "type": "layers", "layers": layers(services)},
        _never("What ships does not import what never does", [*products, *services], NEVER_SHIPPED),
        _never("The servers know nothing of OMS", ["oms_servers"], products),
        _never(
            "Domain modules import nothing but the standard library and the contracts",
            domains,
            [*(one for one in packages if one != "oms_contracts"), *OUTSIDE],
        ),
        {"name": "Messaging, jobs and HTTP do not import one another", "type": "independence", "modules": wings},
        {
            "name": "The admin API is above messaging, jobs and HTTP, and below the runtime",
            "type": "layers",
            "layers": ["oms_chassis.runtime", "oms_chassis.admin", " : ".join(wings)],
        },
        _never(
            "Only oms_chassis.messaging.kafka imports kafka",
            [one for one in everything if one != "oms_chassis"],
            ["kafka"],
        ),
    ]


def layers(services: Sequence[str]) -> list[str]:
    """Return the layers from the top down: each may import only those below it."""
    return [
        " : ".join(services),
        "oms_cli",
        "oms_platform",
        "oms_servers : oms_simulators",
        "oms_notifications",
        "oms_gateway : oms_chassis",
        "oms_contracts",
    ]


def _never(name: str, sources: Sequence[str], forbidden: Sequence[str]) -> Contract:
    rule = {"name": name, "type": "forbidden", "source_modules": sources, "forbidden_modules": forbidden}
    return {**rule, "allow_indirect_imports": "true"}


def configuration() -> str:
    """Return import-linter's configuration."""
    top = {"root_packages": [*found("packages"), *found("services")], "include_external_packages": "true"}
    sections = [("importlinter", top)]
    sections += [(f"importlinter:contract:{number}", dict(one)) for number, one in enumerate(contracts())]
    return "\n".join(_section(name, values) for name, values in sections)


def _section(name: str, values: Mapping[str, str | Sequence[str]]) -> str:
    lines = [f"[{name}]"]
    for key, value in values.items():
        lines.append(f"{key} = {value}" if isinstance(value, str) else "\n    ".join([f"{key} =", *value]))
    return "\n".join([*lines, ""])


def main() -> int:
    """Check the imports. Return the exit code."""
    with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
        file.write(configuration())
        file.flush()
        return int(cli.lint_imports(config_filename=file.name, no_cache=True))


if __name__ == "__main__":
    sys.exit(main())
