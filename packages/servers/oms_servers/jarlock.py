"""Rewrites kafka.lock: resolves Kafka's dependencies and records the digest of each jar."""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

from jgo.maven import MavenContext

from oms_servers.jars import Jar

ROOTS = ("org.apache.kafka:kafka_2.13:4.3.1", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4")
LOCK = Path(__file__).with_name("kafka.lock")


def resolve(roots: tuple[str, ...] = ROOTS) -> list[Jar]:
    """Return every jar that the roots need, after fetching it, with its size and digest."""
    with TemporaryDirectory() as folder:
        context = MavenContext(repo_cache=Path(folder))
        own, theirs = context.resolver.resolve([context.create_dependency(root) for root in roots])
        needed = [*own, *(one for one in theirs if one.scope in ("compile", "runtime"))]
        found = {_jar(one.artifact) for one in needed}
    return sorted(found, key=lambda jar: jar.path)


def _jar(artifact: object) -> Jar:
    file = Path(artifact.resolve())  # type: ignore[attr-defined] # jgo ships no types
    path = f"{artifact.component.path_prefix}/{artifact.filename}"  # type: ignore[attr-defined] # the same
    return Jar(hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size, path)


def main() -> None:
    heading = [line for line in LOCK.read_text().splitlines() if line.startswith("#")]
    lines = [f"{jar.sha256} {jar.size} {jar.path}" for jar in resolve()]
    LOCK.write_text("\n".join([*heading, *lines]) + "\n")


if __name__ == "__main__":
    main()
