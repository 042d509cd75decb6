"""A mail server that is slow."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from support.chassis import eventually
from support.mailing import SENT, Script, notice, provider, scripted

from oms_chassis.jobs.queue import Unavailable
from oms_notifications.notice import InDoubt, sent


def test_a_server_that_thinks_about_a_mail_gets_it_once() -> None:
    script = Script(thinks=1.0)
    with scripted(script) as port, provider(port, smtp_timeout=0.5) as smtp:
        assert [smtp.send(notice()), smtp.send(notice("o-2"))] == [SENT, sent("<o-2.confirmed@example.com>")]
    assert len(script.taken) == 2


def test_other_answers_are_waited_for_no_longer_after_a_mail_than_before() -> None:
    script = Script()
    with scripted(script) as port, provider(port, smtp_timeout=0.5) as smtp:
        assert smtp.send(notice()) == SENT
        script.rcpt = ["silence"]
        assert smtp.send(notice()) == Unavailable("smtp: SMTPServerDisconnected")


def test_a_server_that_trickles_its_answer_does_not_hold_a_call_for_ever() -> None:
    def trickle(listener: socket.socket, over: threading.Event) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            while not over.wait(0.1):
                connection.sendall(b"2")

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        serving = pool.submit(trickle, listener, over)
        with provider(listener.getsockname()[1], smtp_timeout=1.0) as smtp:
            began = time.monotonic()
            assert smtp.send(notice()) == Unavailable("smtp: SMTPServerDisconnected")
            assert time.monotonic() - began < 10
        over.set()
        serving.result(10)


def test_a_mail_that_waits_for_its_answer_does_not_hold_up_the_end() -> None:
    script = Script(thinks=60.0)
    with scripted(script) as port, provider(port) as smtp, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(smtp.send, notice())
        eventually(lambda: len(script.taken) == 1)
        smtp.close()
        assert sending.result(timeout=20) == InDoubt("smtp: SMTPServerDisconnected, in doubt")
