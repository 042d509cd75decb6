"""Serves a service's routes on a real socket, in a thread of the test's process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from oms_chassis.db import Database
from oms_chassis.http import app
from oms_chassis.http import server as http_server
from oms_chassis.http.edge import Edge
from oms_chassis.runtime import access
from oms_chassis.runtime.service import Components, Context, Service
from oms_chassis.runtime.threads import Periodic
from oms_chassis.settings import Settings
from oms_chassis.telemetry.metrics import Metrics
from support.chassis import eventually


@contextmanager
def serving(application: ASGIApp) -> Iterator[str]:
    """Serve an application during the block, and yield its address."""
    server = http_server.make(application, "127.0.0.1", 0, drain=5, keep_alive=60)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started, within=30)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def routes(
    service: Service, settings: Settings, database: Database, registry: CollectorRegistry
) -> Iterator[tuple[str, Components]]:
    """Serve a service's public routes, with their writers, during the block. Yield their address and its components."""
    components = service.build(Context(settings, database, registry))
    edge = Edge.of(settings, database)
    application = app.create(
        service.name, components.routers, components.provides, Metrics(registry), settings.body_limit, edge=edge
    )
    loops = [*components.writers, *access.writers(edge), *(Periodic(task) for task in access.tasks(edge))]
    writers = [threading.Thread(target=loop.run) for loop in loops]
    for thread in writers:
        thread.start()
    try:
        with serving(application) as address:
            yield address, components
    finally:
        for loop in loops:
            loop.stop()
        for thread in writers:
            thread.join()
