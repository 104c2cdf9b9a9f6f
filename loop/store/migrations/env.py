"""Runs the revisions on the connection, and in the transaction, that `SqlStore.migrate` hands over.

A new revision is a file in versions/, written by hand with the types that the schema has at that time (never
import loop.store.schema: it moves on). SQLite cannot alter most of a table: use op.batch_alter_table.
"""

from alembic import context

from loop.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()
