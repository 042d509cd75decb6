"""Environment variables that are no settings, and look like one: whoever set it would take it for being in force."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from oms_chassis.settings import Settings

PREFIX = "OMS_"
# RATE_LIMT is like RATE_LIMIT (0.95). SMTP_CONNECTIONS, of another service, is not like SMS_CONNECTIONS (0.90).
ALIKE = 0.92


def among(names: Iterable[str], settings: type[Settings]) -> Mapping[str, str]:
    """Those of these variables' names that are nearly one of these settings', each with the setting's."""
    known = [name.upper() for name in settings.model_fields]
    given = [name.upper().removeprefix(PREFIX) for name in names if name.upper().startswith(PREFIX)]
    found = {name: get_close_matches(name, known, 1, ALIKE) for name in given if name not in known}
    return {f"{PREFIX}{name}": f"{PREFIX}{alike[0]}" for name, alike in found.items() if alike}
