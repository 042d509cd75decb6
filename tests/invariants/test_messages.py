"""The checker understands each of the services' messages, and ignores messages about nothing or another order."""

from typing import Any

import pytest
from support import notices, wording

from invariants.messages import NOTHING, said
from oms_contracts.envelope import Event
from oms_contracts.events import GATEWAY_REFUSED
from oms_notifications.messages import Kind, email_subject, email_text, sms_text

ORDER_ID = "019ab3f2-7c1e-7d3a-9a55-0123456789ab"
SENT = [
    (Kind.CONFIRMED, notices.confirmed(ORDER_ID)),
    (Kind.DECLINED, notices.declined(ORDER_ID)),
    (Kind.DECLINED, notices.declined(ORDER_ID, GATEWAY_REFUSED)),
    (Kind.OUT_OF_STOCK, notices.out_of_stock(ORDER_ID)),
    (Kind.CANCELLED, notices.cancelled(ORDER_ID)),
    (Kind.CANCELLED, notices.cancelled(ORDER_ID, "timed-out")),
    (Kind.CANCELLED, notices.cancelled(ORDER_ID, "something-later")),
    (Kind.REFUNDED, notices.refunded(ORDER_ID, "r1")),
    (Kind.REFUNDED, notices.refunded(ORDER_ID, "r1", 1250, "Item1")),
]


@pytest.mark.parametrize(("kind", "event"), SENT)
def test_the_services_messages_are_understood(kind: Kind, event: Event[Any]) -> None:
    assert said("email", ORDER_ID, email_subject(kind), email_text(kind, event.data)) == kind
    assert said("sms", ORDER_ID, "", sms_text(kind, event.data)) == kind


def test_a_message_about_another_order_says_nothing() -> None:
    assert said("sms", ORDER_ID, "", wording.CONFIRMED.text.format("another")) == NOTHING


def test_a_mail_whose_text_contradicts_its_subject_says_nothing() -> None:
    text = wording.CANCELLED.mail.format(ORDER_ID)
    assert said("email", ORDER_ID, wording.CONFIRMED.subject, text) == NOTHING
