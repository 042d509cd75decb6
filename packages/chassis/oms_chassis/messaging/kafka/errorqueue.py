"""What the network has said about a connection, apart from what has come on it.

A Kubernetes Service without endpoints, or a router, answers an attempt to connect with "nobody is here". The connection
may come about all the same, by the kernel's next attempt. Linux (since 5.9, `tcp_v4_err`) has put the answer into the
socket's error queue by then, where it stays until it is taken out, and meanwhile every poll says that there is
something to read. kafka-python 3.0.12 then reads nothing for ever, in a busy loop, and each time takes it for a sign
that the broker is there. (psycopg takes it for the end of the connection, and makes another one.)
"""

import contextlib
import os
import socket

MOST = 100  # that one call takes out: it has to end


def discard(descriptor: int) -> None:
    """Take everything out of the error queue of a connection. On systems that have none, nothing is done."""
    if not hasattr(socket, "MSG_ERRQUEUE"):
        return
    with socket.socket(fileno=os.dup(descriptor)) as connection, contextlib.suppress(OSError):
        for _ in range(MOST):
            connection.recvmsg(1, 0, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
