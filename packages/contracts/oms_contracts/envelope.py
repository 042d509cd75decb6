"""The envelope of every message: CloudEvents 1.0, structured JSON (cloudevents.io).

`subject` is the order's id (the item's, for items) and also the record's key in Kafka, so that all events of one order
keep their order within a topic.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from oms_contracts.ids import new_id
from oms_contracts.scalars import showable

# Strict, because a bare number would be accepted as a time.
Moment = Annotated[AwareDatetime, Field(strict=True), AfterValidator(showable)]


class Message(BaseModel):
    """The base of everything on the wire: camelCase names, frozen, and unknown fields are ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        serialize_by_alias=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )


Data = TypeVar("Data", bound=Message, covariant=True)


class Event(BaseModel, Generic[Data]):
    """One event: what happened (`data`), to which order or item (`subject`), when and where."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(min_length=1, max_length=200)
    source: str = Field(min_length=1)
    type: str = Field(min_length=1)
    subject: str = Field(min_length=1)
    time: Moment
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str | None = None
    traceparent: str | None = None
    data: Data

    @property
    def identity(self) -> str:
        """What identifies this event among all events."""
        return identity(self.source, self.id)

    def encode(self) -> str:
        """Return the event as it is sent."""
        return self.model_dump_json(exclude_none=True, by_alias=True)


def identity(source: str, id_: str) -> str:
    """Return what identifies an event: an id is only unique within its source."""
    return f"{source} {id_}"


def source(service: str) -> str:
    """Return the CloudEvents source of a service's events."""
    return f"/oms/{service}"


def envelope(service: str, kind: str, subject: str, traceparent: str | None = None, **more: Any) -> dict[str, Any]:
    """Return the fields around `data` for an event that happens now."""
    return {
        "id": str(new_id()),
        "source": source(service),
        "type": kind,
        "subject": subject,
        "time": datetime.now(UTC),
        "dataschema": f"/schemas/{kind}.json",
        "traceparent": traceparent,
        **more,
    }
