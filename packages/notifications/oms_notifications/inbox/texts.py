"""Texts on disk, as JSON lines. The idempotency key makes each one stored once, however often it is sent."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from oms_notifications.inbox.appendfile import AppendFile
from oms_notifications.inbox.record import Record, instant


class Texts:
    """Written by one thread at a time (GroupSync); the index in memory may be read meanwhile."""

    def __init__(self, path: Path) -> None:
        self._records: list[Record] = []
        self._by_order: dict[str, list[Record]] = {}
        self._file = AppendFile(path)
        with path.open("rb") as file:
            self._load(file)

    def __len__(self) -> int:
        return len(self._records)

    def keys(self) -> Iterator[str]:
        """The idempotency keys of all that is stored."""
        return (record.message_id for record in self._records)

    def write(self, texts: list[dict[str, Any]]) -> None:
        """Keep texts: they are on disk when this returns."""
        stamped = [{**text, "at": time.time()} for text in texts]
        self._file.append(b"".join(json.dumps(text).encode() + b"\n" for text in stamped))
        for text in stamped:
            self._index(text)

    def read(self, order_id: str | None, limit: int) -> list[Record]:
        """The newest `limit` texts (of an order), oldest of them first."""
        found = self._records if order_id is None else self._by_order.get(order_id, [])
        return found[-limit:]

    def close(self) -> None:
        self._file.close()

    def _load(self, file: BinaryIO) -> None:
        for line in file:
            if not line.endswith(b"\n"):
                break
            self._index(json.loads(line))
            self._file.end += len(line)
        self._file.cut()

    def _index(self, text: dict[str, Any]) -> None:
        record = Record(text["reference"], "sms", text["to"], "", text["text"], text["key"], instant(text["at"]))
        self._records.append(record)
        self._by_order.setdefault(record.order_id, []).append(record)
