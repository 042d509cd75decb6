"""System V shared memory: a killed program leaves its segments behind, and a machine only has a few thousand."""

import ctypes

_REMOVE = 0  # IPC_RMID, on Linux and macOS


def remove(segment: int) -> None:
    """Have a segment removed once nobody uses it any more. It is no error if there is none."""
    ctypes.CDLL(None).shmctl(segment, _REMOVE, None)
