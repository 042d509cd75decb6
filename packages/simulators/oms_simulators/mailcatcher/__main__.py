"""`python -m oms_simulators.mailcatcher --smtp-port P --http-port Q --folder F` runs it until SIGTERM or Ctrl-C."""

import argparse
import gc
import signal
from pathlib import Path

import uvicorn

from oms_chassis.http.coalescing import CoalescingHttp
from oms_simulators.mailcatcher.app import create_app


def main() -> None:
    options = _options()
    # When it is done, uvicorn raises the signal that stopped it again, but a clean stop has exit code 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    # Messages are kept for good, so a full collection takes longer with each of them.
    gc.set_threshold(50_000, 20, 100)
    app = create_app(options.folder, options.host, options.smtp_port)
    uvicorn.run(
        app,
        host=options.host,
        port=options.http_port,
        http=CoalescingHttp,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,  # these two headers are a third of an answer, and there is one answer for every text
        date_header=False,
        timeout_graceful_shutdown=5,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="oms_simulators.mailcatcher", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="where messages are kept; made if it is missing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
