"""What is said of an item under free keys, and how that is changed."""

from collections.abc import Mapping

from loop.domain.errors import Invalid

# Where an image was made from another; no caller may say otherwise.
LINEAGE = frozenset({"derived_from", "derived_by", "derived_at"})
LONGEST_KEY = 100  # characters
LONGEST_VALUE = 1000
MOST_KEYS = 100  # of an item

# A JSON merge patch (RFC 7396) of texts: None removes a key.
Changes = Mapping[str, str | None]


def checked_changes(changes: Changes) -> Changes:
    """Raises Invalid for what cannot be said of any item."""
    if not 0 < len(changes) <= MOST_KEYS:
        raise Invalid(f"{len(changes)} keys are to change.", hint=f"Change 1 to {MOST_KEYS} at a time.", field="meta")
    for key, value in changes.items():
        _check(key, value)
    return changes


def merged(meta: Mapping[str, str], changes: Changes) -> Mapping[str, str]:
    """What is said then. Raises Invalid where that would be under too many keys."""
    after = {**meta, **changes}
    left = {key: value for key, value in after.items() if value is not None}
    if len(left) > max(MOST_KEYS, len(meta)):
        raise Invalid(
            f"an item would have {len(left)} keys.", hint=f"It has at most {MOST_KEYS}: remove some.", field="meta"
        )
    return left


def _check(key: str, value: str | None) -> None:
    if key in LINEAGE:
        raise Invalid(f"{key} says what the image was made from.", hint="Leave it as it is.", field=f"meta.{key}")
    if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise Invalid(
            f"{key[:LONGEST_KEY]!r} cannot be a key.",
            hint=f"A key has 1 to {LONGEST_KEY} printable characters.",
            field="meta",
        )
    if value is not None and (len(value) > LONGEST_VALUE or not _is_storable(value)):
        raise Invalid(
            f"the value of {key} cannot be kept.",
            hint=f"It has up to {LONGEST_VALUE} characters, no NUL among them and no half of a surrogate pair.",
            field=f"meta.{key}",
        )


def _is_storable(text: str) -> bool:
    return not any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in text)
