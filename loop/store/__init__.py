"""Durable state: tables, migrations, one class per port, blobs. The only place that commits."""
