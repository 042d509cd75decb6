"""A fake Kubernetes API server with what Helm needs for rendering, and the Job that makes secrets."""

import json
from collections.abc import Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Manifest = dict[str, Any]

NAMESPACE = "shop"


def manifest(kind: str, name: str, version: str = "v1", **more: Any) -> Manifest:
    """Return an object as a cluster stores it; `labels` and `annotations` go into its metadata."""
    metadata = {key: more.pop(key) for key in ("labels", "annotations") if key in more}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE, **metadata}, **more}


class ApiServer(ThreadingHTTPServer):
    """Serves its version, its kinds, and the objects of one namespace, which can be read, created and merged into."""

    daemon_threads = True

    def __init__(self, kinds: Iterable[tuple[str, str]], found: Iterable[Manifest]) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        kinds = set(kinds)
        self.objects = {f"{_folder(one['apiVersion'], one['kind'])}/{one['metadata']['name']}": one for one in found}
        self.discovery = dict(_discovery(kinds))
        self.folders = {_folder(version, kind): (version, kind) for version, kind in kinds}
        self.changes: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def find(self, path: str) -> Any:
        """Return the object or list at a path, or None."""
        if path in self.discovery or path in self.objects:
            return self.discovery.get(path) or self.objects.get(path)
        if path not in self.folders:
            return None
        version, kind = self.folders[path]
        items = [one for where, one in self.objects.items() if where.rpartition("/")[0] == path]
        return {"apiVersion": version, "kind": f"{kind}List", "metadata": {}, "items": items}

    def change(self, method: str, path: str, body: Manifest) -> Manifest:
        """Create an object, or merge into an existing one."""
        where = f"{path}/{body['metadata']['name']}" if method == "POST" else path
        self.changes.append((method, where))
        before = self.objects.get(where, {})
        self.objects[where] = {**before, **body, "data": {**before.get("data", {}), **body.get("data", {})}}
        return self.objects[where]


class _Answers(BaseHTTPRequestHandler):
    server: ApiServer

    def do_GET(self) -> None:
        missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
        found = self.server.find(self.path.partition("?")[0])
        self._answer(found or missing, 200 if found else 404)

    def do_POST(self) -> None:
        self._change()

    def do_PATCH(self) -> None:
        self._change()

    def _change(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(self.server.change(self.command, self.path.partition("?")[0], body), 200)

    def _answer(self, found: Mapping[str, Any], status: int) -> None:
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing: the test reports what matters."""


def _discovery(kinds: set[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    """Yield the discovery documents of these kinds, each given as (apiVersion, kind)."""
    groups = []
    for version in {version for version, _ in kinds}:
        resources = [
            {"name": _plural(kind), "kind": kind, "namespaced": True, "verbs": ["get", "list"]}
            for other, kind in kinds
            if other == version
        ]
        yield _root(version), {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
        if "/" in version:
            name, _, short = version.partition("/")
            named = {"groupVersion": version, "version": short}
            groups.append({"name": name, "versions": [named], "preferredVersion": named})
    yield "/version", {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
    yield "/api", {"kind": "APIVersions", "versions": ["v1"]}
    yield "/apis", {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _folder(version: str, kind: str) -> str:
    return f"{_root(version)}/namespaces/{NAMESPACE}/{_plural(kind)}"


def _plural(kind: str) -> str:
    """Return the name of a kind in paths. Clients learn it from the server, so any name will do."""
    return f"{kind.lower()}s"
