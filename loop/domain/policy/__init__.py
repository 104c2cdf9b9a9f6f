"""The parts of a project's policy: what its operators set, and what is wrong with it."""
