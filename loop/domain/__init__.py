"""Types and pure decisions. Only the standard library and numpy: no clock, no randomness, no I/O."""
