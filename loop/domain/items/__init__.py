"""What items can be asked for, the groups they are in, and what was done to many of them."""
