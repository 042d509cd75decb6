"""Whatever a record holds, decoding it gives an event or a ValueError, by which it is a dead letter: nothing else."""

import json
import os
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from oms_contracts.envelope import Event
from oms_contracts.topics import TOPICS, Topic

MANY = settings(max_examples=int(os.environ.get("OMS_EXAMPLES", "150")))  # `make fuzz` takes its time
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
ATTRIBUTES = ["id", "source", "type", "subject", "time", "traceparent", "specversion", "data"]


def decoded(topic: Topic, value: bytes) -> Event[Any] | None:
    try:
        return topic.decode(value)
    except ValueError:
        return None


@MANY
@given(topic=st.sampled_from(TOPICS), value=st.binary(max_size=200))
def test_any_bytes_are_an_event_or_refused(topic: Topic, value: bytes) -> None:
    assert decoded(topic, value) is None


@MANY
@given(topic=st.sampled_from(TOPICS), attributes=st.dictionaries(st.sampled_from(ATTRIBUTES), ANY_JSON))
def test_any_envelope_is_an_event_or_refused(topic: Topic, attributes: dict[str, Any]) -> None:
    event = decoded(topic, json.dumps({"type": topic.name, "specversion": "1.0", **attributes}).encode())
    assert event is None or event.type == topic.name
