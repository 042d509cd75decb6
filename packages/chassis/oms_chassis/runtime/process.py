"""A running service: starts its threads and two servers, and stops them in order."""

import asyncio
import contextlib
import gc
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from prometheus_client import CollectorRegistry

from oms_chassis.db import Database
from oms_chassis.http import server
from oms_chassis.http.edge import Edge
from oms_chassis.http.health import Health, internal_app
from oms_chassis.http.server import Server
from oms_chassis.jobs.worker import Worker
from oms_chassis.messaging.consumer import Consumer
from oms_chassis.messaging.identity import identity
from oms_chassis.messaging.relay import Relay
from oms_chassis.runtime import access, administration, exporting, pruning
from oms_chassis.runtime.drain import LATEST, Drain, LastResort
from oms_chassis.runtime.gauges import refresh
from oms_chassis.runtime.service import Context, Service
from oms_chassis.runtime.threads import Loop, Periodic, Task, ThreadSupervisor
from oms_chassis.runtime.watchdog import Watchdog
from oms_chassis.sessions import Limits
from oms_chassis.settings import Settings
from oms_chassis.telemetry import logs
from oms_chassis.telemetry.metrics import Metrics
from oms_contracts import topics

log = logs.logger(__name__)

# Reference counting frees almost everything that requests and batches leave. With Python's own thresholds, the
# collector would take a tenth of the CPU to find that out.
GC_THRESHOLDS = (50_000, 20, 100)
# The share of the drain by whose end each step is over, so that no step takes the time of later ones.
INTAKE, REQUESTS, WRITERS, OUTPUT = 0.6, 0.7, 0.8, 0.95
# A probe is answered before the kubelet gives up, even if its connection has fallen silent.
PROBES = Limits(statement=0.5, lock=0.5, connect=2, pool=0.5, grace=1.0)
# Seconds of silence after which the server takes the lock from a relay, so that another one leads within half a minute.
# More than a relay waits for a broker (sink.SEND_TIMEOUT): otherwise each outage of Kafka would cost the relay its
# lock.
RELAY_IDLE = 25.0


class Process:
    """The threads and servers of one running service."""

    def __init__(self, service: Service, settings: Settings, last_resort: LastResort) -> None:
        self._service, self._settings, self._last_resort = service, settings, last_resort
        self._database = Database(settings.database_url, settings.database_pool, settings.limits)
        probes, relay = (
            self._database.reserve(limits=PROBES, name="probes"),
            self._database.reserve(limits=replace(settings.limits, idle=RELAY_IDLE), name="relay"),
        )
        self._metrics = Metrics(CollectorRegistry())
        self._end_spans = exporting.start(service.name, settings, self._metrics)
        self._components = service.build(Context(settings, self._database, self._metrics.registry))
        self._edge = Edge.of(settings, self._database) if self._components.routers else Edge.open()
        self._sink = service.sink(settings)
        self._relay = Relay(relay, self._sink, self._metrics, topics.emitted_by(service.name))
        self._consumers = self._make_consumers()
        self._queues = self._components.queues(settings.job_lease_seconds)
        self._workers = [Worker(job_queue, self._database, self._metrics) for job_queue in self._queues]
        self._writers = [*self._components.writers, *access.writers(self._edge)]
        kept = pruning.tasks(self._database, settings, self._components.retentions, self._queues)
        tasks = (*self._components.tasks, *access.tasks(self._edge), *kept)
        self._periodics = [self._periodic(task) for task in tasks]
        self._supervisor = ThreadSupervisor(self._on_failure)
        self._watchdog = Watchdog(self._supervisor.beats, settings.stall_seconds, self._metrics.registry)
        # A service with HTTP accepts orders while Kafka is unavailable, even if it starts then: it does not wait for
        # its consumer.
        checks = {} if self._components.routers else {"consumer": self._is_consuming}
        self._health = Health(probes, checks, self._watchdog.stalled)
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self) -> int:
        """Start, serve and drain. Return the exit code."""
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        servers = self._servers()
        serving = [one.begin() for one in servers]
        await asyncio.to_thread(self._supervisor.guard, "start", self._start_threads)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        access.announce(self._settings, is_public=bool(self._components.routers))
        log.info("started", port=self._settings.http_port, internal_port=self._settings.internal_port)
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait([stopped, *serving], return_when=asyncio.FIRST_COMPLETED)
        return await self._drain(servers, serving)

    def _start_threads(self) -> None:
        for start in self._components.on_start:
            start()
        for loop in (*self._writers, self._relay, *self._consumers, *self._workers, *self._periodics):
            self._supervisor.start(loop.name, loop.run)

    async def _drain(self, servers: Sequence[Server], serving: Sequence[asyncio.Task[None]]) -> int:
        log.info("draining")
        self._health.draining = True
        drain = Drain(self._settings.drain_seconds)
        self._last_resort.arm(drain.seconds + LATEST)
        await asyncio.gather(*(public.send_connection_close() for public in servers[:-1]))
        for public in servers[:-1]:
            public.should_exit = True
        for end in self._components.on_drain:
            end()
        intake = asyncio.create_task(drain.step("intake", lambda: self._stop_intake(drain.by(INTAKE)), OUTPUT))
        if serving[:-1]:
            await asyncio.wait(serving[:-1], timeout=drain.left(REQUESTS))
        await drain.step("writers", lambda: self._stop_stage(self._writers, drain.by(WRITERS)), WRITERS)
        await intake
        await drain.step("relay", lambda: self._stop_stage([self._relay], drain.by(OUTPUT)), OUTPUT)
        servers[-1].should_exit = True
        await asyncio.wait(serving, timeout=drain.left(OUTPUT))
        for name, close in self._closings():
            await drain.step(name, close, 1.0)
        log.info("stopped", in_time=drain.in_time)
        return 0 if drain.in_time and not self._supervisor.failed else 1

    def _closings(self) -> list[tuple[str, Callable[[], object]]]:
        return [
            *((f"on-stop-{number}", stop) for number, stop in enumerate(self._components.on_stop)),
            ("sink", self._sink.close),
            ("spans", self._end_spans),
            ("database", self._database.dispose),
        ]

    def _stop_intake(self, deadline: float) -> bool:
        stages: list[Sequence[Loop]] = [self._consumers, self._workers, self._periodics]
        in_time = [self._stop_stage(stage, deadline) for stage in stages]  # all of them, even after one was late
        return all(in_time)

    def _stop_stage(self, stage: Sequence[Loop], deadline: float) -> bool:
        for loop in stage:
            loop.stop()
        ended = [self._supervisor.join(loop.name, deadline - time.monotonic()) for loop in stage]
        return all(ended)

    def _servers(self) -> list[Server]:
        settings = self._settings
        admin = administration.app(self._service.name, settings, self._database, self._components, self._metrics)
        internal = internal_app(self._service.name, self._health, self._metrics.registry, self._measure, admin)
        times = settings.drain_seconds, settings.keep_alive_seconds
        servers = [server.make(internal, settings.http_host, settings.internal_port, *times)]
        if self._components.routers:
            public = access.app(self._service.name, settings, self._components, self._metrics, self._edge)
            servers.insert(0, server.make(public, settings.http_host, settings.http_port, *times))
        return servers

    def _measure(self) -> None:
        self._watchdog.measure()
        refresh(self._database, self._metrics, self._queues)

    def _make_consumers(self) -> list[Consumer]:
        """Return one consumer, or none if the service reads nothing."""
        service, settings, subscriptions = self._service, self._settings, self._components.subscriptions
        if not subscriptions:
            return []
        names = [subscription.topic.name for subscription in subscriptions]
        connect = partial(service.source, settings, service.name, names, identity(settings.state_folder, service.name))
        consumer = Consumer(service.name, self._database, subscriptions, connect, self._metrics, service.deduplicate)
        return [consumer]

    def _periodic(self, task: Task) -> Periodic:
        metrics = self._metrics
        periodic = Periodic(task, metrics.task_failures.labels(task.name).inc, self._kept_up)
        metrics.task_failures_in_a_row.labels(task.name).set_function(lambda: periodic.failures)
        return periodic

    def _is_consuming(self) -> bool:
        return all(consumer.is_ready for consumer in self._consumers)

    def _kept_up(self) -> float:
        return min((consumer.kept_up() for consumer in self._consumers), default=float("inf"))

    def _on_failure(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the process is about to end anyway
                self._loop.call_soon_threadsafe(self._stop.set)
