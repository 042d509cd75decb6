"""Write a CycloneDX list of what is installed where this runs: Debian's packages and Python's distributions.

Runs inside an image, from standard input: docker run -i --entrypoint python IMAGE - NAME VERSION <scripts/sbom.py
"""

import json
import sys
import uuid
from collections.abc import Iterator
from email.parser import HeaderParser
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

DPKG = Path("/var/lib/dpkg/status")

Component = dict[str, Any]


def component(kind: str, name: str, version: str, licence: str = "") -> Component:
    """One entry; `kind` is the type of its package URL."""
    purl = f"pkg:{kind}/{quote(name)}@{quote(version, safe='')}"
    entry: Component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if licence:
        entry["licenses"] = [{"expression": licence}]
    return entry


def python_component(found: Distribution) -> Component:
    """A distribution by its normalised name."""
    name = found.name.lower().replace("_", "-").replace(".", "-")
    licences = found.metadata.get_all("License-Expression") or [""]
    return component("pypi", name, found.version, licences[0])


def debian_components(status: str) -> Iterator[Component]:
    """What dpkg's status file says is installed."""
    for paragraph in status.split("\n\n"):
        fields = HeaderParser().parsestr(paragraph)
        if fields.get("Status", "").endswith(" installed"):
            yield component("deb/debian", fields["Package"], fields["Version"])


def document(name: str, version: str) -> dict[str, Any]:
    """The list for an image of this name; the same image gives the same document."""
    debian = debian_components(DPKG.read_text()) if DPKG.exists() else ()
    parts = {part["purl"]: part for part in (*debian, *map(python_component, distributions()))}
    components = [parts[purl] for purl in sorted(parts)]
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([name, version, components]))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial.urn,
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": name, "name": name, "version": version}},
        "components": components,
    }


if __name__ == "__main__":
    print(json.dumps(document(*sys.argv[1:3]), indent=2))
