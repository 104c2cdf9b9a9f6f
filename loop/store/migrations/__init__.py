"""Alembic's history of the schema. `SqlStore.migrate` runs it; tests/contract/test_store.py proves that it
ends at loop/store/schema/. To add a revision, see the head of env.py."""
