"""The failures on demand are faults."""

from chaos import kinds
from chaos.schedule import Planned
from chaos.switches import LEFT_OUT, SWITCHES
from oms_simulators.failures import KINDS


def test_every_failure_on_demand_is_a_fault_except_for_those_left_out_for_a_reason() -> None:
    assert {name: {*SWITCHES[name], *LEFT_OUT[name]} for name in KINDS} == {
        name: set(own) for name, own in KINDS.items()
    }


def test_emails_may_arrive_twice_only_if_the_mail_server_accepts_them_without_saying_so() -> None:
    allowed = {target: kinds.copies("mail server fails", target) for target in SWITCHES["mail"]}
    assert {target for target, copies in allowed.items() if copies} == {"drop", "drip"}
    assert all(allowed[target] == SWITCHES["mail"][target].times for target in ("drop", "drip"))
    assert kinds.copies("SMS provider fails", "drip") == kinds.copies("gateway fails", "late") == 0


def test_no_email_arrives_twice_because_of_a_fault_of_kafka() -> None:
    targets = {"email", "email-database", "smtp", "all", "kafka", "order", "sms"}
    may = {target for target in targets if kinds.copies("process killed", target)}
    assert may == {"email", "email-database", "smtp", "all"}


def test_a_report_names_what_a_simulator_does_wrong() -> None:
    assert kinds.name(Planned("gateway fails", "late", 0.0, 1.0)) == "gateway fails: late"
    assert kinds.name(Planned("silence", "kafka", 0.0, 1.0)) == "silence"
