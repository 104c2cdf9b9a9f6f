"""One file for each way to choose; the table of all is `selection.strategies.table`."""
