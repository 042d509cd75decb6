"""A running service: its threads and its two servers, from the first to the last of them."""

import asyncio
import gc
import signal
import time
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry

from oms_chassis import app, inbox, logs, server
from oms_chassis.consumer import Consumer
from oms_chassis.db import Database
from oms_chassis.gauges import refresh
from oms_chassis.health import Health, internal_app
from oms_chassis.metrics import Metrics
from oms_chassis.outbox import Relay
from oms_chassis.parts import Context, Service
from oms_chassis.runner import Runner
from oms_chassis.server import Server
from oms_chassis.settings import Settings
from oms_chassis.threads import Crew, Periodic, Task

log = logs.logger(__name__)

PRUNE_EVERY = 3600.0  # seconds
# Requests and batches leave little for the collector that counting references has not freed: with Python's own
# thresholds it takes a tenth of the CPU to find that out.
COLLECT = (50_000, 20, 100)


class Process:
    """The threads and servers of one running service."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self._service, self._settings = service, settings
        self._database = Database(settings.database_url, settings.database_pool)
        self._metrics = Metrics(CollectorRegistry())
        self._parts = service.build(Context(settings, self._database, self._metrics.registry))
        self._sink = service.sink(settings)
        self._relay = Relay(self._database, self._sink, self._metrics)
        self._consumer = self._make_consumer()
        self._runners = [Runner(worker, self._database, self._metrics) for worker in self._parts.workers]
        self._periodics = [Periodic(task) for task in (*self._parts.tasks, self._pruning())]
        self._health = Health(self._database, {"consumer": self._is_consuming})
        self._crew = Crew(self._on_failure)
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
        deadline = time.monotonic() + self._settings.drain_seconds
        await asyncio.gather(*(public.bid_farewell() for public in servers[:-1]))
        for public in servers[:-1]:
            public.should_exit = True
        for end in self._parts.on_drain:
            end()
        intake = asyncio.create_task(asyncio.to_thread(self._stop_intake, deadline))
        if serving[:-1]:
            await asyncio.wait(serving[:-1], timeout=max(0.1, deadline - time.monotonic()))
        in_time = await intake
        in_time = await asyncio.to_thread(self._stop_output, deadline) and in_time
        servers[-1].should_exit = True
        await asyncio.wait(serving, timeout=max(0.1, deadline - time.monotonic()))
        self._sink.close()
        self._database.dispose()
        log.info("stopped", in_time=in_time)
        return 0 if in_time and not self._crew.failed else 1

    def _stop_intake(self, deadline: float) -> bool:
        stages: list[list[tuple[str, Callable[[], None]]]] = [
            [("consumer", self._consumer.stop)] if self._consumer else [],
            [(f"{w.queue}-jobs", r.stop) for w, r in zip(self._parts.workers, self._runners, strict=True)],
            [(f"task-{number}", periodic.stop) for number, periodic in enumerate(self._periodics)],
        ]
        return _all([self._stop_stage(stage, deadline) for stage in stages])

    def _stop_output(self, deadline: float) -> bool:
        for stop in self._parts.on_stop:
            stop()
        return self._stop_stage([("relay", self._relay.stop)], deadline)

    def _stop_stage(self, stage: Sequence[tuple[str, Callable[[], None]]], deadline: float) -> bool:
        for _, stop in stage:
            stop()
        return _all([self._crew.join(name, deadline - time.monotonic()) for name, _ in stage])

    def _servers(self) -> list[Server]:
        settings = self._settings
        internal = internal_app(
            self._health, self._metrics.registry, lambda: refresh(self._database, self._metrics, self._parts.workers)
        )
        times = settings.drain_seconds, settings.keep_alive_seconds
        servers = [server.make(internal, settings.http_host, settings.internal_port, *times)]
        if self._parts.routers:
            public = app.create(
                f"OMS {self._service.name}", self._parts.routers, self._parts.states, self._metrics, settings.body_limit
            )
            servers.insert(0, server.make(public, settings.http_host, settings.http_port, *times))
        return servers

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
            self._loop.call_soon_threadsafe(self._stop.set)


def _all(outcomes: Sequence[bool]) -> bool:
    """Whether all are true; a sequence, because every stage is to be stopped even after one was late."""
    return all(outcomes)
