"""The tables that every service has, and functions that list columns.

Tables are SQLModel classes, and these are the source of the schema: migrations are generated from them, and statements
take their lists of columns from them, once, when a repository is imported. Each service has a registry of its own for
its other tables, because two services may have a table of the same name.
"""

from collections.abc import Container, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

_NOW = {"server_default": func.now()}
_CLOCK = {"server_default": text("clock_timestamp()")}


def names(model: type[SQLModel], *only: str, without: Container[str] = (), of: str = "") -> str:
    """Return a table's columns (those in `only`, if any) as a statement lists them: `id, status`, or `o.id,
    o.status`."""
    prefix = f"{of}." if of else ""
    return ", ".join(f"{prefix}{column.name}" for column in _columns(model, only, without))


def typed(model: type[SQLModel], *only: str, without: Container[str] = (), **more: str) -> str:
    """Return the columns with their types, as json_to_recordset needs them: `id uuid, status text`.

    `more` are columns of the rows that the table does not have, by name and type.
    """
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    own = [f"{column.name} {column.type.compile(dialect).lower()}" for column in _columns(model, only, without)]
    return ", ".join([*own, *(f"{name} {kind}" for name, kind in more.items())])


def assigned(model: type[SQLModel], *only: str, without: Container[str] = (), of: str) -> str:
    """Return the columns as an UPDATE sets them from the rows of the alias `of`: `status = r.status, reason =
    r.reason`."""
    return ", ".join(f"{column.name} = {of}.{column.name}" for column in _columns(model, only, without))


def columns(model: type[SQLModel], *only: str, without: Container[str] = ()) -> tuple[str, ...]:
    """Return the columns' names, for the rows of a statement: `{name: getattr(line, name) for name in
    columns(LineRow)}`."""
    return tuple(column.name for column in _columns(model, only, without))


def _columns(model: type[SQLModel], only: Sequence[str], without: Container[str]) -> Sequence[Column[Any]]:
    table: Table = vars(model)["__table__"]
    return [table.columns[name] for name in only] or [one for one in table.columns if one.name not in without]


class ChassisTables(SQLModel, registry=registry()):
    """The registry of the tables that every service has."""


class InboxRow(ChassisTables, table=True):
    """An event or a dead letter that was processed, and is dropped if it is delivered again."""

    __tablename__ = "inbox"
    __table_args__ = (Index("inbox_received_at", "received_at"),)

    event_id: str = Field(primary_key=True, sa_type=Text)
    received_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs=_NOW)


class OutboxRow(ChassisTables, table=True):
    """An event that waits for the relay to send it."""

    __tablename__ = "outbox"

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    topic: str = Field(sa_type=Text)
    key: bytes | None = Field(default=None, sa_type=LargeBinary)
    value: bytes | None = Field(default=None, sa_type=LargeBinary)
    headers: list[Any] | None = Field(default=None, sa_type=JSONB)
    created_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs=_NOW)


class QuarantineRow(ChassisTables, table=True):
    """A row of the outbox that no broker accepts, with the class of the error. It keeps its id."""

    __tablename__ = "outbox_quarantine"

    id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    topic: str = Field(sa_type=Text)
    key: bytes | None = Field(default=None, sa_type=LargeBinary)
    value: bytes | None = Field(default=None, sa_type=LargeBinary)
    headers: list[Any] | None = Field(default=None, sa_type=JSONB)
    created_at: datetime = Field(sa_type=DateTime(timezone=True))
    quarantined_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs=_NOW)
    error: str = Field(sa_type=Text)


class JobRow(ChassisTables, table=True):
    """A job: a call to another system. `run_at` is when it is due, and the end of the lease while a worker has it.

    `attempts` counts claims. If the last of them is the `ended_attempt`, no worker has the job, and its call is not
    under way. `failed_calls` counts failed calls, the first of which failed at `failing_since`. `outcome` is that of a
    call that could not be settled. A job that was given up has a `dead_at`, and is never due; if `dead_at` is in the
    future, its call may be under way.
    """

    __tablename__ = "job"
    __table_args__ = (
        Index("job_due", "queue", "run_at"),
        Index("job_dead", "dead_at", postgresql_where=text("dead_at IS NOT NULL")),
    )

    queue: str = Field(primary_key=True, sa_type=Text)
    id: str = Field(primary_key=True, sa_type=Text)
    subject: str = Field(sa_type=Text)
    payload: dict[str, Any] = Field(sa_type=JSONB)
    traceparent: str | None = Field(default=None, sa_type=Text)
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    run_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs=_NOW)
    created_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs=_NOW)
    last_error: str | None = Field(default=None, sa_type=Text)
    failed_calls: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    ended_attempt: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    failing_since: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    outcome: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    dead_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class AuditRow(ChassisTables, table=True):
    """An operator's act. Rows are never changed or deleted: triggers of the migration prevent it."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("audit_log_subject", "subject", "id"),)

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs=_CLOCK)
    operator: str = Field(sa_type=Text)
    action: str = Field(sa_type=Text)
    subject: str = Field(sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    before: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    after: dict[str, Any] | None = Field(default=None, sa_type=JSONB)


class DeadLetterRow(ChassisTables, table=True):
    """A dead letter of this service: the record as it was read, its subject, and its state."""

    __tablename__ = "dead_letter"
    __table_args__ = (
        CheckConstraint("state IN ('dead', 'redriven', 'dropped')", name="dead_letter_state"),
        Index("dead_letter_dead", "id", postgresql_where=text("state = 'dead'")),
        Index("dead_letter_dead_at", "dead_at"),
        Index("dead_letter_subject", "subject"),
    )

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    topic: str = Field(sa_type=Text)
    partition: int
    record_offset: int = Field(sa_type=BigInteger)
    key: bytes | None = Field(default=None, sa_type=LargeBinary)
    value: bytes | None = Field(default=None, sa_type=LargeBinary)
    headers: list[Any] = Field(sa_type=JSONB)
    error: str = Field(sa_type=Text)
    subject: str | None = Field(default=None, sa_type=Text)
    dead_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs=_CLOCK)
    state: str = Field(default="dead", sa_type=Text, sa_column_kwargs={"server_default": "dead"})
    settled_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class ApiKeyColumns(SQLModel):
    """The columns of the table `api_key` of each service with public routes.

    Only the `digest` of a key is stored. A key may be used until `expires_at`, if that is set, and until it is revoked.
    """

    id: str = Field(primary_key=True, sa_type=Text)
    digest: str = Field(sa_type=Text, unique=True)
    subject: str = Field(sa_type=Text)
    scopes: list[str] = Field(sa_type=ARRAY(Text))
    created_at: datetime = Field(sa_type=DateTime(timezone=True), sa_column_kwargs=_NOW)
    expires_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    last_used_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    revoked_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
