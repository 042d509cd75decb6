"""The member id of a consumer in its group, kept in a file for the process that replaces one that died."""

import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path

from oms_chassis.messaging.faults import name as name_of
from oms_chassis.messaging.streams import Identity
from oms_chassis.telemetry.logs import logger

log = logger(__name__)

LONGEST = 300  # bytes of a member id
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def identity(folder: Path | None, name: str) -> Identity:
    """Return the identity of the previous process, if there is a folder for it and that process is dead, and otherwise
    a new one."""
    if folder is None:
        return Identity()
    try:
        return _Kept(folder / f"{name}.member")
    except OSError as error:
        log.warning("identity_not_kept", error=name_of(error))
        return Identity()


class _Kept(Identity):
    """An identity in a file. A lock, which ends with the process, keeps it from two live processes."""

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
            with suppress(OSError):  # a full disk only makes the next process wait until the group drops the old member
                os.ftruncate(self._file, 0)
                os.pwrite(self._file, member_id.encode(), 0)
        super().become(member_id)
