"""System V's shared memory: a program that is killed leaves its segments behind, and a machine has a few thousand."""

import ctypes

_REMOVE = 0  # IPC_RMID, on Linux and macOS


def remove(segment: int) -> None:
    """Have a segment removed once nobody uses it any more; one that is not there is no error."""
    ctypes.CDLL(None).shmctl(segment, _REMOVE, None)
