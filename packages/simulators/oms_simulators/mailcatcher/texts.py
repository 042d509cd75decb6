"""Texts on disk, as JSON lines. By its idempotency key, each is stored once, however often it is sent."""

import json
import time
from pathlib import Path
from typing import Any

from oms_simulators.mailcatcher.appending import append
from oms_simulators.mailcatcher.record import Record, instant


class Texts:
    """Written by one thread at a time, read by any. Nothing is synced to disk: this is for test systems."""

    def __init__(self, path: Path) -> None:
        self._records: dict[str, Record] = {}  # by key, in the order of arrival
        self._file = path.open("ab+", buffering=0)
        self._load()

    def __len__(self) -> int:
        return len(self._records)

    def keep(self, key: str, text: dict[str, Any]) -> None:
        """Store a text, once per key. Raises OSError if the disk refuses it."""
        if key in self._records:
            return
        stamped = {"key": key, **text, "at": time.time()}
        append(self._file, json.dumps(stamped).encode() + b"\n")
        self._index(stamped)

    def read(self, order_id: str | None, limit: int) -> list[Record]:
        """Return the newest `limit` texts (of an order), oldest of them first."""
        records = list(self._records.values())
        return [record for record in records if order_id in (None, record.order_id)][-limit:]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _load(self) -> None:
        self._file.seek(0)
        whole, _, torn = self._file.read().rpartition(b"\n")
        for line in whole.splitlines():
            self._index(json.loads(line))
        end = self._file.seek(-len(torn), 2)  # a kill may have left an incomplete line
        self._file.truncate(end)

    def _index(self, text: dict[str, Any]) -> None:
        self._records[text["key"]] = Record(
            text["reference"], "sms", text["to"], "", text["text"], text["key"], instant(text["at"])
        )
