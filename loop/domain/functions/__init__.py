"""What a custom function is given and gives back. Packages that register functions import this module: it is a contract
(docs/functions.md), to which fields may be added."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loop.domain.truth import Shape

GROUP = "askance.functions"  # of entry points


@dataclass(frozen=True, slots=True)
class FunctionItem:
    """An image of the project. digest: SHA-256 of its bytes. width, height: pixels. metadata: as it was sent."""

    digest: str
    width: int
    height: int
    metadata: Mapping[str, str]
    read: Callable[[], NDArray[np.uint8]] = field(repr=False)

    def image(self) -> NDArray[np.uint8]:
        """The pixels, (height, width, 3) RGB; read and decoded by each call, so keep them. Raises NotFound where the
        image is not kept."""
        return self.read()


@dataclass(frozen=True, slots=True)
class Context:
    """trigger: what the function is called for: "button", "manual", or an event's name. event: what that event says.
    item: None where the event is of no image. shapes: those of the answer that is being drawn (button); else the item's
    ground truth, or where it has none what the newest prediction proposes. selected: ids of shapes that the person has
    selected, none but for a button. options: as the project gives them."""

    project: str
    trigger: str
    event: Mapping[str, Any]
    item: FunctionItem | None
    shapes: tuple[Shape, ...]
    selected: tuple[str, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What of it is not given changes nothing.

    shapes: in place of those that were given; with `image`, those of the new image. messages: for the person at the
    button, and for the history. image: a new one: encoded (JPEG, PNG, WebP), or (height, width, 3) RGB uint8, which
    is kept as PNG.
    """

    shapes: Sequence[Shape] | None = None
    messages: Sequence[str] = ()
    image: bytes | NDArray[np.uint8] | None = None


Function = Callable[[Context], Result | None]
