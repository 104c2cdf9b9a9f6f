"""Why something was decided."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """code: as docs/guarantee.md lists them, for routing. detail: in words."""

    code: str
    detail: str
