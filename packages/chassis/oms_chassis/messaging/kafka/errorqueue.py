"""Empties the error queue of a connection: errors that the network reported, apart from the data.

A Kubernetes Service without endpoints, or a router, answers an attempt to connect with "nobody is here". The connection
may be established all the same, by the kernel's next attempt. By then, Linux (since 5.9, `tcp_v4_err`) has put the
answer into the socket's error queue. It stays there until it is taken out, and meanwhile every poll reports the socket
as readable. kafka-python 3.0.12 then loops for ever, reading nothing, and takes each poll for a sign of life of the
broker. (psycopg takes it for the end of the connection, and makes another one.)
"""

import contextlib
import os
import socket

MOST = 100  # errors that one call takes out, so that it ends


def discard(descriptor: int) -> None:
    """Take everything out of the error queue of a connection. Do nothing on systems that have no such queue."""
    if not hasattr(socket, "MSG_ERRQUEUE"):
        return
    with socket.socket(fileno=os.dup(descriptor)) as connection, contextlib.suppress(OSError):
        for _ in range(MOST):
            connection.recvmsg(1, 0, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
