"""Finds misspelt settings: environment variables that are not settings but look like one, which would be ignored
silently."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from oms_chassis.settings import Settings

PREFIX = "OMS_"
# RATE_LIMT is like RATE_LIMIT (0.95). SMTP_CONNECTIONS, of another service, is not like SMS_CONNECTIONS (0.90).
ALIKE = 0.92


def among(names: Iterable[str], settings: type[Settings]) -> Mapping[str, str]:
    """Return those of these variables that almost match a setting, each with the setting's name."""
    known = [name.upper() for name in settings.model_fields]
    given = [name.upper().removeprefix(PREFIX) for name in names if name.upper().startswith(PREFIX)]
    found = {name: get_close_matches(name, known, 1, ALIKE) for name in given if name not in known}
    return {f"{PREFIX}{name}": f"{PREFIX}{alike[0]}" for name, alike in found.items() if alike}
