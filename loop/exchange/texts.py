"""Attributes as text, for formats that know nothing else: written so that the recipe's type brings them back."""

import json
import math
import re
from collections.abc import Iterable

from loop.domain.recipes.ontology import Attribute, AttributeType
from loop.domain.truth import Value

# What XML 1.0 has no way to write, not even as a reference.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def as_text(value: Value) -> str:
    """true or false, the shortest number that reads back the same, or a JSON list of several options."""
    if isinstance(value, tuple):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def typed(value: Value, wanted: AttributeType) -> Value:
    """Text as the type has it, of several options a JSON list or a single one; what is no such text, and what is no
    text, stays as it is."""
    if not isinstance(value, str):
        return value
    if wanted is AttributeType.BOOLEAN:
        return _BOOLEANS.get(value.strip().lower(), value)
    if wanted is AttributeType.NUMBER:
        return _number(value)
    return _options(value) if wanted is AttributeType.MULTISELECT else value


def _number(text: str) -> str | float:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _options(text: str) -> tuple[str, ...]:
    try:
        listed = json.loads(text) if text.startswith("[") else None
    except (ValueError, RecursionError):
        listed = None
    whole = isinstance(listed, list) and all(isinstance(one, str) for one in listed)
    return tuple(listed) if whole and listed is not None else (text,)


def fits_xml(text: str) -> bool:
    """Whether XML 1.0 can hold the text at all."""
    return _NOT_XML.search(text) is None


def attribute_of(name: str, values: Iterable[Value], *, guess: bool) -> Attribute:
    """The narrowest attribute that holds all of these values. guess: text may stand for numbers and truth values."""
    found = list(values)
    if all(isinstance(value, tuple) for value in found):
        options = dict.fromkeys(option for value in found if isinstance(value, tuple) for option in value)
        return Attribute(name, AttributeType.MULTISELECT, tuple(options) or ("none",))
    for kind in (AttributeType.BOOLEAN, AttributeType.NUMBER):
        meant = [typed(value, kind) if guess else value for value in found]
        if all(Attribute(name, kind).refuses(value) == "" for value in meant):
            return Attribute(name, kind)
    if guess and all(isinstance(value, tuple) or str(value).startswith('["') or value == "[]" for value in found):
        return attribute_of(name, [typed(value, AttributeType.MULTISELECT) for value in found], guess=False)
    return Attribute(name, AttributeType.TEXT)
