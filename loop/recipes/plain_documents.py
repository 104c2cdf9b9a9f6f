"""Documents as people write them: JSON, or the YAML that means no more than JSON could say."""

import json
import re
from typing import Any

import yaml

from loop.domain.errors import Invalid


class Unreadable(Invalid):
    """why: with its place, where it is known."""

    code, title = "unreadable", "The document cannot be read"

    def __init__(self, why: str) -> None:
        super().__init__(f"cannot be read: {why}.", hint="Write JSON, or YAML without anchors and repeated keys.")
        self.why = why


def read_document(text: bytes, *, literal: bool = False) -> object:
    """What these bytes say. literal: of YAML's words only true and false are something else than text: `off`, `no`, and
    the key `on` are not booleans, and dates stay as they are written. Raises Unreadable."""
    try:
        # UTF-8 with or without a byte order mark. JSON is read as such: YAML takes some of it for something else.
        decoded = text.decode("utf-8-sig")
        if decoded.lstrip().startswith("{"):
            return json.loads(decoded, object_pairs_hook=_distinct)
        return yaml.load(decoded, Loader=_LiteralLoader if literal else _PlainLoader)  # noqa: S506 - allow less than safe
    except RecursionError as error:
        raise Unreadable("it is nested too deeply") from error
    except yaml.MarkedYAMLError as error:
        where = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise Unreadable(f"{error.problem}{where}") from error
    except (UnicodeDecodeError, ValueError, yaml.YAMLError) as error:
        raise Unreadable(str(error)) from error


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(names := dict(pairs)) < len(pairs):
        repeated = next(name for name in names if sum(name == other for other, _ in pairs) > 1)
        raise ValueError(f"the key {repeated!r} is there twice")
    return names


class _PlainLoader(yaml.SafeLoader):
    """Without anchors, by which a few lines could stand for gigabytes, and without repeated keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "it refers to an anchor", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is there twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _LiteralLoader(_PlainLoader):
    """Words are text, but for true, false and null."""


_LiteralLoader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if not tag.endswith((":bool", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_LiteralLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
