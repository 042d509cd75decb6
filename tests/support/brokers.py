"""Three brokers that keep copies for each other, as in production."""

import base64
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from oms_servers.errors import LocalError
from oms_servers.kafka import KafkaServer
from oms_servers.ports import free_port

NUMBERS = (1, 2, 3)


class Broker(KafkaServer):
    """A broker that is a controller, too. It knows the others once all are made."""

    def __init__(self, folder: Path, number: int) -> None:
        super().__init__(folder / f"kafka-{number}", free_port(), name=f"kafka-{number}")
        self.number, self.directory = number, _identifier()
        self.cluster, self.all = "", list[Broker]()

    def _format(self) -> None:
        voters = ",".join(f"{one.number}@127.0.0.1:{one.controller_port}:{one.directory}" for one in self.all)
        tool = ["kafka.tools.StorageTool", "format", "-t", self.cluster, "-c", str(self._properties)]
        made = subprocess.run([*self._java(), *tool, "--initial-controllers", voters], capture_output=True, check=False)
        if made.returncode != 0:
            raise LocalError(f"Kafka's storage could not be formatted: {made.stdout[-500:]!r}{made.stderr[-500:]!r}")

    def _settings(self) -> Mapping[str, object]:
        copies = dict.fromkeys(("offsets.topic.replication.factor", "transaction.state.log.replication.factor"), 3)
        controllers = ",".join(f"127.0.0.1:{one.controller_port}" for one in self.all)
        quorum = {"node.id": self.number, "controller.quorum.bootstrap.servers": controllers}
        return {**super()._settings(), **copies, **quorum, "replica.lag.time.max.ms": 5000}


@contextmanager
def three_brokers(folder: Path) -> Iterator[list[Broker]]:
    """A cluster that is up, with its data in this folder."""
    brokers, cluster = [Broker(folder, number) for number in NUMBERS], _identifier()
    for one in brokers:
        one.cluster, one.all = cluster, brokers
    try:
        with ThreadPoolExecutor(len(brokers)) as pool:
            list(pool.map(lambda one: one.start(), brokers))
        for one in brokers:
            one.await_ready()
        yield brokers
    finally:
        for one in brokers:
            one.kill()


def _identifier() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
