"""Run by alembic: executes all migrations of an upgrade in one transaction, on the caller's connection."""

from alembic import context

given = context.config.attributes
context.configure(
    connection=given["connection"],
    target_metadata=given.get("metadata"),
    transactional_ddl=True,
    **given.get("options", {}),
)
with context.begin_transaction():
    context.run_migrations()
