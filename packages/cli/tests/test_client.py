"""How `oms` asks over HTTP, next to a small server that answers as the services do."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from oms_cli.client import Client

PAGES = {
    "/stock/differences": ([], "/stock/differences?cursor=b"),
    "/stock/differences?cursor=b": ([{"id": "b1"}], "/stock/differences?cursor=c"),
    "/stock/differences?cursor=c": ([{"id": "c1"}], None),
}


class _Inventory(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found, following = PAGES[self.path]
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if following:
            self.send_header("Link", f'<{following}>; rel="next"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: the test says what matters."""


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Inventory) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_the_books_of_all_items_are_checked_also_after_a_stretch_without_a_difference(address: str) -> None:
    client = Client("http://127.0.0.1:1", address, "http://127.0.0.1:1")
    assert [one["id"] for one in client.differences()] == ["b1", "c1"]
