"""How good answers are: agreement, consensus, golden items, and what follows for the people."""
