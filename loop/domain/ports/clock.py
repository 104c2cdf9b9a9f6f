"""Time and randomness, which nobody takes for himself."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def __call__(self) -> datetime:
        """Now, timezone-aware UTC."""
        ...


class Entropy(Protocol):
    def __call__(self, count: int, /) -> bytes: ...
