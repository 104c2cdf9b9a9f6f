"""Types and pure decisions: the standard library and numpy, scipy where a method needs it. No clock, no randomness,
no I/O."""
