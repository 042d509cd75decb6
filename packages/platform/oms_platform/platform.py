"""The whole of OMS on one machine: the services, a database each, Kafka and the mail catcher."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from oms_chassis.messaging import kafka as broker
from oms_chassis.settings import Settings
from oms_contracts.topics import SERVICES
from oms_platform import leftovers, services, tokens
from oms_platform.addresses import Addresses
from oms_platform.together import at_once, first_failure
from oms_servers import jars
from oms_servers.errors import PortTaken
from oms_servers.kafka import KafkaServer
from oms_servers.postgres import PostgresServer
from oms_servers.server import Server

Commands = Mapping[str, Sequence[str]]
Environments = Mapping[str, Mapping[str, str]]
PORT_ADVICE = "Stop that program (`oms down`, if it is OMS), or move all ports: OMS_PORT_SHIFT=1000 make up"
NONE: Mapping[str, Any] = MappingProxyType({})


class Platform:
    """Everything under one folder: data in `data`, a log file for each program in `logs`.

    `commands` replaces the command `python -m oms_X.main serve` of a service; `environment` adds variables to its own
    (both by service name); `postgres` adds settings to every database server; `behind` is KafkaServer's.
    """

    def __init__(
        self,
        folder: Path,
        at: Addresses | None = None,
        *,
        commands: Commands = NONE,
        environment: Environments = NONE,
        postgres: Mapping[str, str] = NONE,
        behind: tuple[int, int] | None = None,
    ) -> None:
        self.folder, self.at = folder, at or Addresses.free()
        self.admin_token = tokens.new()
        self._topics_exist = threading.Event()
        self._starting: Sequence[Future[None]] = ()
        data = folder / "data"
        self.databases = {
            name: PostgresServer(
                data / name,
                self.at.database[name],
                name=f"{name}-database",
                log=self._log(f"{name}-database"),
                settings=postgres,
            )
            for name in SERVICES
        }
        self.kafka = KafkaServer(
            data / "kafka", self.at.kafka, controller_port=self.at.controller, log=self._log("kafka"), behind=behind
        )
        self.mailcatcher = services.mailcatcher(self.at, data / "mailcatcher", self._log("mailcatcher"))
        self.services = {
            name: services.service(
                name,
                self.at,
                self._log(name),
                self.databases[name].url,
                commands.get(name),
                {"OMS_STATE_FOLDER": str(data), **environment.get(name, {})},
                self.admin_token,
            )
            for name in SERVICES
        }

    @property
    def url(self) -> str:
        """The address to which orders are posted."""
        return f"http://127.0.0.1:{self.at.http['order']}"

    @property
    def inventory_url(self) -> str:
        return f"http://127.0.0.1:{self.at.http['inventory']}"

    @property
    def mailcatcher_url(self) -> str:
        """The address that shows the messages that were sent."""
        return f"http://127.0.0.1:{self.at.mailcatcher}"

    @property
    def servers(self) -> list[Server]:
        """Return every program, in the order in which they can be stopped."""
        return [*self.services.values(), self.mailcatcher, self.kafka, *self.databases.values()]

    def is_ready(self, name: str) -> bool:
        """Whether a service reports that it is ready."""
        return self.services[name].is_ready()

    def start(self, progress: jars.Watchdog = lambda _came, _all: None) -> None:
        """Start everything in parallel, and wait until all programs are ready. The first failure ends the others."""
        self._check_ports()
        jars.jars(progress)
        tokens.keep(self.folder, self.admin_token)
        self._topics_exist.clear()
        chains: list[Callable[[], None]] = [
            self._start_kafka,
            self._start_mailcatcher,
            *(partial(self._start_service, name) for name in SERVICES),
        ]
        with ThreadPoolExecutor(len(chains), "start") as pool:
            self._starting = [pool.submit(chain) for chain in chains]
            try:
                first_failure(self._starting)
            except BaseException:
                self.abandon()
                raise

    def stop(self) -> None:
        """End everything in an orderly way: the services drain while everything that they need still runs."""
        for group in ([*self.services.values()], [self.mailcatcher, self.kafka, *self.databases.values()]):
            at_once(group, "stop")

    def kill(self) -> None:
        """End everything at once, as a power cut would."""
        at_once(self.servers, "kill")

    def remove(self) -> Sequence[Path]:
        """Remove all data and logs, wherever they had to be put, and return the files of others that remain."""
        data = self.folder / "data"
        servers = {database.folder: "PG_VERSION" for database in self.databases.values()}
        servers |= {self.kafka.folder: "server.properties", data / "mailcatcher": "mail.mbox"}
        logs = [*(server.log for server in self.servers), self._log("up")]
        return leftovers.remove(self.folder, servers, [*logs, *(data / f"{name}.member" for name in self.services)])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _check_ports(self) -> None:
        try:
            for server in self.servers:
                server.check_ports()  # all of them before anything runs
        except PortTaken as taken:
            raise PortTaken(taken.message, PORT_ADVICE) from None

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def _start_kafka(self) -> None:
        self.kafka.start()
        self.kafka.await_ready()
        broker.reconcile_topics(Settings(database_url="postgresql://unused", kafka_bootstrap=self.kafka.bootstrap))
        self._topics_exist.set()

    def _start_mailcatcher(self) -> None:
        self.mailcatcher.start()
        self.mailcatcher.await_ready()

    def _start_service(self, name: str) -> None:
        database = self.databases[name]
        database.start()
        database.await_ready()
        self._topics_exist.wait()
        if database.is_alive():  # otherwise the start was abandoned
            self.services[name].start()
            self.services[name].await_ready()

    def abandon(self) -> None:
        """End a start in progress. Kills repeatedly, because a program that is being prepared starts after a kill."""
        self._topics_exist.set()
        self.kill()
        while not all(future.done() for future in self._starting):
            time.sleep(0.1)
            self.kill()
