"""The migrations of both services."""

import sqlalchemy as sa
from alembic import op


def create_message_table() -> None:
    """Create the table of `tables.MessageRow` as it was in the first release. Later migrations alter it."""
    op.create_table(
        "message",
        sa.Column("order_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="pending"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("reason", sa.Text),
        sa.Column("provider_id", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("kind IN ('confirmed', 'declined', 'out-of-stock')", name="message_kind"),
        sa.CheckConstraint("state IN ('pending', 'sent', 'failed')", name="message_state"),
    )
    op.create_index("message_unsent", "message", ["created_at"], postgresql_where=sa.text("state <> 'sent'"))


def drop_message_table() -> None:
    """Drop what the migration made."""
    op.drop_table("message")


def know_cancelled() -> None:
    """Allow messages about cancelled orders."""
    op.drop_constraint("message_kind", "message")
    op.create_check_constraint(
        "message_kind", "message", "kind IN ('confirmed', 'declined', 'out-of-stock', 'cancelled')"
    )


def forget_cancelled() -> None:
    """Undo `know_cancelled`: a message about a cancelled order counts as the order's only message."""
    op.drop_constraint("message_kind", "message")
    op.execute("UPDATE message SET kind = 'declined' WHERE kind = 'cancelled'")
    op.create_check_constraint("message_kind", "message", "kind IN ('confirmed', 'declined', 'out-of-stock')")


_STATES = "'pending', 'sent', 'failed'"


def know_unknown() -> None:
    """Allow the state `unknown`: the customer may have received the message."""
    op.drop_constraint("message_state", "message")
    op.create_check_constraint("message_state", "message", f"state IN ({_STATES}, 'unknown')")


def forget_unknown() -> None:
    """Undo `know_unknown`: unknown messages count as failed."""
    op.drop_constraint("message_state", "message")
    op.execute("UPDATE message SET state = 'failed' WHERE state = 'unknown'")
    op.create_check_constraint("message_state", "message", f"state IN ({_STATES})")


def create_message_quota() -> None:
    """Create the table of `tables.QuotaRow`."""
    op.create_table(
        "message_quota",
        sa.Column("bucket", sa.Text, primary_key=True),
        sa.Column("used", sa.Integer, nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("message_quota_ends_at", "message_quota", ["ends_at"])


def drop_message_quota() -> None:
    """Drop what the migration made."""
    op.drop_table("message_quota")


_KINDS = "'confirmed', 'declined', 'out-of-stock', 'cancelled'"


def know_refunds() -> None:
    """Allow messages about refunds."""
    op.add_column("message", sa.Column("refund_of", sa.Text))
    op.drop_constraint("message_kind", "message")
    op.create_check_constraint("message_kind", "message", f"kind IN ({_KINDS}, 'refunded')")


def forget_refunds() -> None:
    """Undo `know_refunds`: messages about refunds are deleted."""
    op.drop_constraint("message_kind", "message")
    op.execute("DELETE FROM message WHERE kind = 'refunded'")
    op.create_check_constraint("message_kind", "message", f"kind IN ({_KINDS})")
    op.drop_column("message", "refund_of")
