"""The system as it runs on a cluster, called through its Ingress and inspected by kubectl."""

import contextlib
import json
import os
import subprocess
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
from invariants import Answer, Sources, check_when_quiet

from oms_contracts.topics import SERVICES
from oms_servers.testing import free_port
from support.chassis import eventually

CONTEXT = os.environ.get("OMS_KUBE_CONTEXT", "kind-oms")
NAMESPACE = RELEASE = "oms"
CHART = Path(__file__).parents[2] / "charts" / "oms"
READY = 120.0  # seconds for everything to be ready again, on two cores


class Cluster:
    """Runs kubectl and helm for one release, and returns their output. Raises AssertionError if they fail.

    `host` is the host name of its Ingress, if it has one.
    """

    url = os.environ.get("OMS_URL", "http://localhost:8080").rstrip("/")

    def __init__(self, namespace: str = NAMESPACE, host: str | None = None) -> None:
        self.namespace, self.host = namespace, host

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """Run kubectl in the release's namespace."""
        return self._run("kubectl", "--context", CONTEXT, "--namespace", self.namespace, *arguments, given=given)

    def helm(self, *arguments: str) -> str:
        """Run helm in the release's namespace."""
        return self._run("helm", "--kube-context", CONTEXT, "--namespace", self.namespace, *arguments)

    def get(self, *arguments: str) -> dict[str, Any]:
        """Return the output of `kubectl get` as objects."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "--output=json"))
        return found

    def pods(self, component: str) -> list[dict[str, Any]]:
        """Return the pods of a component that are not terminating."""
        found = self.get("pods", f"--selector=app.kubernetes.io/component={component}")["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def is_ready(self, component: str) -> bool:
        """Whether a component has pods, all of which are ready."""
        pods = self.pods(component)
        return bool(pods) and all(
            condition["status"] == "True"
            for pod in pods
            for condition in pod["status"].get("conditions", ())
            if condition["type"] == "Ready"
        )

    def restarts(self, component: str) -> int:
        """Return how often a component's containers were restarted."""
        return sum(
            status["restartCount"]
            for pod in self.pods(component)
            for status in pod["status"].get("containerStatuses", ())
        )

    def last_end(self, component: str) -> str | None:
        """Return why a component's previous container ended, in Kubernetes' words."""
        for status in self.pods(component)[0]["status"].get("containerStatuses", ()):
            return str(status["lastState"].get("terminated", {}).get("reason"))
        return None

    def memory(self) -> dict[str, int]:
        """Return the memory in use by each component in MiB, as the metrics server measured it last."""
        pods = {pod["metadata"]["name"]: pod["metadata"]["labels"] for pod in self.get("pods")["items"]}
        used: dict[str, int] = {}
        for pod, _, memory in map(str.split, self.kubectl("top", "pods", "--no-headers").splitlines()):
            component = pods.get(pod, {}).get("app.kubernetes.io/component", pod)
            used[component] = used.get(component, 0) + int(memory.removesuffix("Mi"))
        return used

    def await_ready(self) -> None:
        """Return once everything is rolled out and orders can be read through the Ingress."""
        for kind in ("statefulset", "deployment"):
            self.kubectl("rollout", "status", kind, f"--timeout={READY:.0f}s")

        def answers() -> bool:
            try:
                headers = {"Host": self.host} if self.host else {}
                return httpx2.get(f"{self.url}/order", headers=headers, timeout=5.0).status_code == 200
            except httpx2.TransportError:
                return False

        eventually(answers, READY)

    def upgrade(self, *values: str) -> None:
        """Change values, and wait until they are rolled out."""
        self.helm("upgrade", RELEASE, str(CHART), "--reuse-values", *(f"--set={one}" for one in values))
        self.await_ready()

    def upgrade_json(self, values: Mapping[str, Any]) -> None:
        """Do the same for values that are lists or maps."""
        given = (f"--set-json={name}={json.dumps(value)}" for name, value in values.items())
        self.helm("upgrade", RELEASE, str(CHART), "--reuse-values", *given)
        self.await_ready()

    @contextlib.contextmanager
    def forwarded(self, target: str, port: int, namespace: str | None = None) -> Iterator[str]:
        """Forward a port of a pod or service to this machine, and yield it as host:port."""
        local, where = free_port(), namespace or self.namespace
        command = ["kubectl", "--context", CONTEXT, "--namespace", where, "port-forward", target, f"{local}:{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                assert "Forwarding" in line, line
                yield f"127.0.0.1:{local}"
            finally:
                process.kill()

    def secrets(self) -> dict[str, dict[str, str]]:
        """Return the contents of the chart's secrets."""
        found = self.get("secrets", f"--selector=app.kubernetes.io/instance={RELEASE}")["items"]
        return {one["metadata"]["name"]: one["data"] for one in found}

    @contextlib.contextmanager
    def sources(self, services: Collection[str] = SERVICES) -> Iterator[Sources]:
        """Yield the sources for the checker of the invariants, or the databases of these services. They do not include
        the mail catcher, which loses its messages when its pod is replaced."""
        uris = {name: self._decoded(f"oms-{name}-database", "uri") for name in services}
        with contextlib.ExitStack() as stack:
            databases = {}
            for name, uri in uris.items():
                address = stack.enter_context(self.forwarded(f"service/oms-{name}-postgres", 5432))
                before, after = uri.rsplit("@", 1)
                databases[name] = f"{before}@{address}/{after.split('/', 1)[1]}"
            yield Sources(databases)

    def verify(self, answers: list[Answer]) -> None:
        """Assert that every accepted order has ended, and that the invariants hold."""
        with self.sources() as sources:
            assert check_when_quiet(sources, answers, within=90.0) == []

    def _decoded(self, secret: str, key: str) -> str:
        template = f"go-template={{{{.data.{key} | base64decode}}}}"
        return self.kubectl("get", "secret", secret, f"--output={template}")

    def _run(self, *command: str, given: str | None = None) -> str:
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}{done.stdout}"
        return done.stdout
