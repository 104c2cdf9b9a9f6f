"""Documents that people name to commands."""

import sys
from pathlib import Path
from typing import Any

from loop.domain.errors import Invalid


def document_in(file: Path) -> dict[str, Any]:
    """The recipe's document of a file; `-`: of the standard input. Raises BadRecipe, Invalid."""
    from loop.recipe_document import read_recipe

    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise Invalid(
            f"{file} cannot be read ({error.strerror or error}).", hint="Examples are in configs/recipes/."
        ) from error
    return read_recipe(text).model_dump(mode="json", by_alias=True, exclude_unset=True)
