"""What holds for all tests."""

from hypothesis import settings

# A deadline for each example is a timed assertion: it fails on a busy machine, and says nothing of the rule.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
