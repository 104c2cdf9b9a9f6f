"""Documents that people name to commands."""

import json
import sys
from pathlib import Path
from typing import Any

from loop.domain.errors import Invalid


def document_in(file: Path) -> dict[str, Any]:
    """The recipe's document of a file; `-`: of the standard input. Raises BadRecipe, Invalid."""
    from loop.recipes.document import read_recipe

    text = bytes_of(file, hint="Examples are in configs/recipes/.")
    return read_recipe(text).model_dump(mode="json", by_alias=True, exclude_unset=True)


def policy_in(file: Path) -> dict[str, Any]:
    """What a file says of a policy, as JSON can say it; `-`: the standard input. Raises Invalid."""
    return _values_in(
        file, "policy", "Examples are in configs/flows/.", "Write its keys and values, as `askance policy show` does."
    )


def triggers_in(file: Path) -> dict[str, Any]:
    """What a file says of triggers, as `policy_in`."""
    example = "An example is configs/triggers.yaml."
    return _values_in(file, "triggers", example, example)


def _values_in(file: Path, what: str, unreadable: str, empty: str) -> dict[str, Any]:
    from loop.recipes.plain_documents import Unreadable, read_document

    text = bytes_of(file, hint=unreadable)
    try:
        # `qa: off` and the key `on` of a function are words here, whatever YAML 1.1 says of them.
        document = json.loads(json.dumps(read_document(text, literal=True), allow_nan=False))
    except Unreadable as error:
        raise Invalid(f"{file} {error.detail}", hint=error.hint) from error
    except (TypeError, ValueError) as error:
        raise Invalid(f"{file} holds what JSON cannot say: {error}.", hint="Use text, numbers, lists, maps.") from error
    if not isinstance(document, dict):
        raise Invalid(f"{file} holds no {what}.", hint=empty)
    return document


def bytes_of(file: Path, *, hint: str) -> bytes:
    """`-`: of the standard input. Raises Invalid."""
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise Invalid(f"{file} cannot be read ({error.strerror or error}).", hint=hint) from error
