"""Who a consumer is in its group, kept in a file for the process that comes after one that died."""

import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path

from oms_chassis.messaging.faults import name as name_of
from oms_chassis.messaging.streams import Identity
from oms_chassis.telemetry.logs import logger

log = logger(__name__)

LONGEST = 300  # bytes of a name that a group gives
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def identity(folder: Path | None, name: str) -> Identity:
    """That of the process before, if there is a folder for it and that process is dead; else a new one."""
    if folder is None:
        return Identity()
    try:
        return _Kept(folder / f"{name}.member")
    except OSError as error:
        log.warning("identity_not_kept", error=name_of(error))
        return Identity()


class _Kept(Identity):
    """One that is in a file. A lock makes sure that nobody has it who lives; it ends with the process."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = os.read(self._file, LONGEST).decode("ascii", errors="replace")
        except BaseException:
            os.close(self._file)
            raise
        super().__init__(found if _NAME.fullmatch(found) else "")

    def become(self, member_id: str) -> None:
        if member_id != self.member_id:
            with suppress(OSError):  # a disk that is full costs the next process its patience, and nothing else
                os.ftruncate(self._file, 0)
                os.pwrite(self._file, member_id.encode(), 0)
        super().become(member_id)
