"""A running service: its threads and its two servers, from the first to the last of them."""

import asyncio
import contextlib
import gc
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from prometheus_client import CollectorRegistry

from oms_chassis import app, inbox, logs, server
from oms_chassis.consumer import Consumer
from oms_chassis.db import Database
from oms_chassis.drain import LATEST, Drain, LastResort
from oms_chassis.gauges import refresh
from oms_chassis.health import Health, internal_app
from oms_chassis.metrics import Metrics
from oms_chassis.parts import Context, Service
from oms_chassis.progress import Progress
from oms_chassis.relay import Relay
from oms_chassis.runner import Runner
from oms_chassis.server import Server
from oms_chassis.sessions import Limits
from oms_chassis.settings import Settings
from oms_chassis.threads import Crew, Periodic, Task
from oms_contracts import topics

log = logs.logger(__name__)

PRUNE_EVERY = 3600.0  # seconds
# Requests and batches leave little for the collector that counting references has not freed: with Python's own
# thresholds it takes a tenth of the CPU to find that out.
COLLECT = (50_000, 20, 100)
# The share of the drain by whose end a step is over: none can take the time of those after it.
INTAKE, REQUESTS, WRITERS, OUTPUT = 0.6, 0.7, 0.8, 0.95
# A probe has an answer before the kubelet gives it up, also on a connection that has fallen silent.
PROBES = Limits(statement=0.5, lock=0.5, connect=2, pool=0.5, grace=1.0)
RELAY_IDLE = 60.0  # seconds after which the server takes the lock from a relay that says nothing: it asks all the time


class Process:
    """The threads and servers of one running service."""

    def __init__(self, service: Service, settings: Settings, last_resort: LastResort) -> None:
        self._service, self._settings, self._last_resort = service, settings, last_resort
        self._database = Database(settings.database_url, settings.database_pool, settings.limits)
        probes, relay = (
            self._database.reserve(limits=PROBES),
            self._database.reserve(limits=replace(settings.limits, idle=RELAY_IDLE)),
        )
        self._metrics = Metrics(CollectorRegistry())
        self._parts = service.build(Context(settings, self._database, self._metrics.registry))
        self._sink = service.sink(settings)
        self._relay = Relay(relay, self._sink, self._metrics, topics.emitted_by(service.name))
        self._consumer = self._make_consumer()
        self._runners = [Runner(worker, self._database, self._metrics) for worker in self._parts.workers]
        self._periodics = [Periodic(task) for task in (*self._parts.tasks, self._pruning())]
        self._crew = Crew(self._on_failure)
        self._progress = Progress(self._crew.turns, settings.stall_seconds, self._metrics.registry)
        # A service with HTTP takes orders while Kafka is away, even if it starts then: it waits for no consumer.
        checks = {} if self._parts.routers else {"consumer": self._is_consuming}
        self._health = Health(probes, checks, self._progress.stalled)
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self) -> int:
        """Start, serve, drain."""
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        servers = self._servers()
        serving = [asyncio.create_task(one.serve()) for one in servers]
        await asyncio.to_thread(self._crew.guard, "start", self._start_threads)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT)
        log.info("started", port=self._settings.http_port, internal_port=self._settings.internal_port)
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait([stopped, *serving], return_when=asyncio.FIRST_COMPLETED)
        return await self._drain(servers, serving)

    def _start_threads(self) -> None:
        for start in self._parts.on_start:
            start()
        for writer in self._parts.writers:
            self._crew.start(writer.name, writer.run)
        self._crew.start("relay", self._relay.run)
        if self._consumer is not None:
            self._crew.start("consumer", self._consumer.run)
        for worker, runner in zip(self._parts.workers, self._runners, strict=True):
            self._crew.start(f"{worker.queue}-jobs", runner.run)
        for number, periodic in enumerate(self._periodics):
            self._crew.start(f"task-{number}", periodic.run)

    async def _drain(self, servers: Sequence[Server], serving: Sequence[asyncio.Task[None]]) -> int:
        log.info("draining")
        self._health.draining = True
        drain = Drain(self._settings.drain_seconds)
        self._last_resort.arm(drain.seconds + LATEST)
        await asyncio.gather(*(public.bid_farewell() for public in servers[:-1]))
        for public in servers[:-1]:
            public.should_exit = True
        for end in self._parts.on_drain:
            end()
        intake = asyncio.create_task(drain.step("intake", lambda: self._stop_intake(drain.by(INTAKE)), OUTPUT))
        if serving[:-1]:
            await asyncio.wait(serving[:-1], timeout=drain.left(REQUESTS))
        await drain.step("writers", lambda: self._stop_writers(drain.by(WRITERS)), WRITERS)
        await intake
        await drain.step("relay", lambda: self._stop_stage([("relay", self._relay.stop)], drain.by(OUTPUT)), OUTPUT)
        servers[-1].should_exit = True
        await asyncio.wait(serving, timeout=drain.left(OUTPUT))
        for name, close in self._closings():
            await drain.step(name, close, 1.0)
        log.info("stopped", in_time=drain.in_time)
        return 0 if drain.in_time and not self._crew.failed else 1

    def _closings(self) -> list[tuple[str, Callable[[], object]]]:
        return [
            *((f"on-stop-{number}", stop) for number, stop in enumerate(self._parts.on_stop)),
            ("sink", self._sink.close),
            ("database", self._database.dispose),
        ]

    def _stop_intake(self, deadline: float) -> bool:
        stages: list[list[tuple[str, Callable[[], None]]]] = [
            [("consumer", self._consumer.stop)] if self._consumer else [],
            [(f"{w.queue}-jobs", r.stop) for w, r in zip(self._parts.workers, self._runners, strict=True)],
            [(f"task-{number}", periodic.stop) for number, periodic in enumerate(self._periodics)],
        ]
        return _all([self._stop_stage(stage, deadline) for stage in stages])

    def _stop_writers(self, deadline: float) -> bool:
        return self._stop_stage([(writer.name, writer.stop) for writer in self._parts.writers], deadline)

    def _stop_stage(self, stage: Sequence[tuple[str, Callable[[], None]]], deadline: float) -> bool:
        for _, stop in stage:
            stop()
        return _all([self._crew.join(name, deadline - time.monotonic()) for name, _ in stage])

    def _servers(self) -> list[Server]:
        settings = self._settings
        internal = internal_app(self._health, self._metrics.registry, self._measure)
        times = settings.drain_seconds, settings.keep_alive_seconds
        servers = [server.make(internal, settings.http_host, settings.internal_port, *times)]
        if self._parts.routers:
            public = app.create(
                f"OMS {self._service.name}", self._parts.routers, self._parts.states, self._metrics, settings.body_limit
            )
            servers.insert(0, server.make(public, settings.http_host, settings.http_port, *times))
        return servers

    def _measure(self) -> None:
        self._progress.measure()
        refresh(self._database, self._metrics, self._parts.workers)

    def _make_consumer(self) -> Consumer | None:
        parts, service, settings = self._parts, self._service, self._settings
        if not parts.subscriptions:
            return None
        names = [subscription.topic.name for subscription in parts.subscriptions]
        return Consumer(
            service.name,
            self._database,
            parts.subscriptions,
            lambda: service.source(settings, service.name, names),
            self._metrics,
            service.admit,
        )

    def _pruning(self) -> Task:
        def prune() -> None:
            inbox.prune(self._database, self._settings.inbox_days)

        return Task("prune-inbox", prune, PRUNE_EVERY)

    def _is_consuming(self) -> bool:
        return self._consumer is None or self._consumer.is_ready

    def _on_failure(self) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the process is about to end already
                self._loop.call_soon_threadsafe(self._stop.set)


def _all(outcomes: Sequence[bool]) -> bool:
    """Whether all are true; a sequence, because every stage is to be stopped even after one was late."""
    return all(outcomes)
