"""Reads how to run a service on one machine from its own folder: `[tool.oms]` in services/NAME/pyproject.toml.

    [tool.oms]
    http = true                                           # it has routes for customers

    [tool.oms.local-environment]                          # beyond what every service is given
    OMS_SMS_URL = "http://{host}:{mailcatcher_port}/sms"

A value may hold the placeholders that `placeholders` lists, as str.format reads them: `{{` and `}}` are braces.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oms_platform.addresses import HOST, Addresses
from oms_platform.sample import ITEMS
from oms_servers.errors import LocalError

SERVICES_FOLDER = Path(__file__).parents[3] / "services"  # the platform runs from a checkout
_HTTP, _ENVIRONMENT = "http", "local-environment"


@dataclass(frozen=True)
class Declaration:
    """Whether a service has routes for customers, and its environment variables, placeholders unfilled."""

    service: str
    http: bool = False
    templates: Mapping[str, str] = field(default_factory=dict)

    def environment(self, at: Addresses) -> dict[str, str]:
        """Return the variables. Raises LocalError if one of them has a placeholder that does not exist."""
        return {name: self._filled(name, template, placeholders(at)) for name, template in self.templates.items()}

    def _filled(self, name: str, template: str, values: Mapping[str, str]) -> str:
        try:
            return template.format_map(values)
        except (KeyError, ValueError, AttributeError):
            raise LocalError(
                f"services/{self.service}/pyproject.toml: the value of {name} has a placeholder that does not exist",
                f"There are: {', '.join(values)}",
            ) from None


def placeholders(at: Addresses) -> dict[str, str]:
    """Return the values of placeholders: addresses of the mail catcher, and the sample catalogue as JSON."""
    return {
        "host": HOST,
        "smtp_port": str(at.smtp),
        "mailcatcher_port": str(at.mailcatcher),
        "catalogue": json.dumps(ITEMS),
    }


def declaration(service: str, folder: Path = SERVICES_FOLDER) -> Declaration:
    """Return what the service's folder declares. Raises LocalError if that is wrong."""
    table = _table(service, folder / service / "pyproject.toml")
    http, templates = table.pop(_HTTP, False), table.pop(_ENVIRONMENT, {})
    if table:
        raise _refused(service, f"{', '.join(table)} is not known", f"There are: {_HTTP}, {_ENVIRONMENT}")
    if not isinstance(http, bool):
        raise _refused(service, f"{_HTTP} is neither true nor false", "Without it, a service has no routes")
    if not isinstance(templates, dict) or not all(isinstance(value, str) for value in templates.values()):
        raise _refused(service, f"{_ENVIRONMENT} is not a table of texts", 'OMS_NAME = "value", quotes included')
    return Declaration(service, http, templates)


def _table(service: str, path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise LocalError(f"There is no service {service}: {path} is missing", "`make service` makes one") from None
    except tomllib.TOMLDecodeError:
        raise _refused(service, "this is not TOML", "`git diff` shows what was changed") from None
    return dict(document.get("tool", {}).get("oms", {}))


def _refused(service: str, why: str, advice: str) -> LocalError:
    return LocalError(f"services/{service}/pyproject.toml, [tool.oms]: {why}", advice)
