"""Custom functions that come with Askance: of use as they are, and to be copied. They use what any package may use."""
