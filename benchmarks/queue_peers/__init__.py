"""The queue's peers, each run in an environment of its own."""
