"""Other libraries' tests for drift, each run in an environment of its own."""
