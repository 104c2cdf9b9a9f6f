"""Files that a command is asked to write."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loop.domain.errors import Invalid


@contextmanager
def writing(what: str, path: Path) -> Iterator[None]:
    """Raises Invalid where the block cannot write `path`."""
    try:
        yield
    except OSError as error:
        raise Invalid(f"{what} cannot be written to {path}: {error.strerror}.", hint="Name another place.") from error
