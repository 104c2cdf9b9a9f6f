"""The work of people: tasks and their order, who takes them, how answers are checked, what it costs."""
