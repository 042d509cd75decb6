"""Write a CycloneDX list of what is installed in the environment in which this runs.

These are Debian's packages, Python and its distributions, and what wheels bundle: the shared libraries next to them
(`*.libs`) and the components that a wheel's own list names (PEP 770).

Runs inside an image, from standard input: docker run -i --entrypoint python IMAGE - NAME VERSION <scripts/sbom.py
"""

import json
import platform
import re
import sys
import uuid
from collections.abc import Iterator
from email.parser import HeaderParser
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

DPKG = Path("/var/lib/dpkg/status")
BUNDLED = re.compile(r"(?P<name>lib.+?)-[0-9a-f]{8}\.so(?:\.(?P<version>[0-9.]+))?$")  # as auditwheel names them
OPENSSL = re.compile(rb"OpenSSL (\d+\.\d+\.\d+)")

Component = dict[str, Any]


def component(kind: str, name: str, version: str, licence: str = "") -> Component:
    """Return one entry; `kind` is the type of its package URL."""
    purl = f"pkg:{kind}/{quote(name)}@{quote(version, safe='')}"
    entry: Component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if licence:
        entry["licenses"] = [{"expression": licence}]
    return entry


def python_component(found: Distribution) -> Component:
    """Return the entry of a distribution, by its normalised name."""
    licences = found.metadata.get_all("License-Expression") or [""]
    return component("pypi", normalised(found.name), found.version, licences[0])


def normalised(name: str) -> str:
    """Return the name of a distribution as package indexes spell it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def debian_components(status: str) -> Iterator[Component]:
    """Yield the packages that dpkg's status file lists as installed."""
    for paragraph in status.split("\n\n"):
        fields = HeaderParser().parsestr(paragraph)
        if fields.get("Status", "").endswith(" installed"):
            yield component("deb/debian", fields["Package"], fields["Version"])


def interpreter() -> Component:
    """Return the entry of Python itself, which no package manager installed."""
    version = platform.python_version()
    return {**component("generic", "python", version), "cpe": f"cpe:2.3:a:python:python:{version}:*:*:*:*:*:*:*"}


def library(path: Path) -> Component | None:
    """Return a shared library that a wheel bundles. Without a version of its own, it has that of its interface."""
    if not (named := BUNDLED.match(path.name)):
        return None
    if own := OPENSSL.search(path.read_bytes()):
        version = own[1].decode()
        return {
            **component("generic", named["name"], version),
            "cpe": f"cpe:2.3:a:openssl:openssl:{version}:*:*:*:*:*:*:*",
        }
    return component("generic", named["name"], named["version"] or "")


def bundled(folders: list[str]) -> Iterator[Component]:
    """Yield the components in the wheels installed in these folders that are not distributions themselves."""
    for folder in map(Path, folders):
        yield from filter(None, map(library, sorted(folder.glob("*.libs/*"))))
        for own in sorted(folder.glob("*.dist-info/sboms/*.json")):
            for one in json.loads(own.read_text()).get("components", ()):
                if {"name", "version", "purl"} <= one.keys():
                    yield listed(one)


def listed(one: Component) -> Component:
    """Return a component from a wheel's own list, which also includes the wheel, in a spelling of its own."""
    if one["purl"].startswith("pkg:pypi/"):
        return component("pypi", normalised(one["name"]), one["version"])
    return {"bom-ref": one["purl"], **{key: one[key] for key in ("type", "name", "version", "purl") if key in one}}


def document(name: str, version: str) -> dict[str, Any]:
    """Return the list for an image of this name; the same image gives the same document."""
    debian = debian_components(DPKG.read_text()) if DPKG.exists() else ()
    python = (interpreter(), *bundled(sys.path), *map(python_component, distributions()))
    parts = {part["purl"]: part for part in (*python, *debian)}
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
