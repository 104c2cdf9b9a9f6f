"""How good production is, from the few predictions that people saw."""
