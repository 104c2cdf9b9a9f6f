"""XML that others wrote, read without trusting it: no DOCTYPE and so no entities, in bounded memory.

A DOCTYPE is refused by the parser itself, in whatever encoding it hides: expat tells of it before it reads what the
DOCTYPE declares.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder, tostring
from xml.parsers import expat

from loop.domain.errors import BadDataset
from loop.exchange.reading import MAX_ANNOTATION_BYTES

_PIECE = 1 << 16
_DEEPEST = 50


def document(path: Path) -> Element:
    """The root, with all below it. Raises BadDataset where the file cannot be used, and beyond MAX_ANNOTATION_BYTES."""
    found = list(_elements(path, depth=0))
    return found[0][1]


def of_text(text: str) -> Element:
    """The root of a document that is held already, with all below it. Raises BadDataset."""
    try:
        return _Reader(0, "").feed(text.encode(), last=True)[0][1]
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise BadDataset(f"cannot be read as XML ({error}).") from error


def children(path: Path, root: str) -> Iterator[tuple[int, Element]]:
    """The elements below the root one after the other, each with its line; only one is held at a time. Raises
    BadDataset, also in the middle, and for another root than `root`."""
    return _elements(path, depth=1, root=root)


def root_of(path: Path) -> str:
    """The name of a document's root, "" where it is no XML that can be read."""
    names: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, _: names.append(name)
    try:
        with path.open("rb") as file:
            parser.Parse(file.read(_PIECE), False)
    except (OSError, expat.ExpatError, ValueError, LookupError):
        pass
    return names[0] if names else ""


def written(root: Element) -> bytes:
    """As UTF-8. A carriage return in text is a reference, or parsers would make a line's end of it."""
    content: bytes = tostring(root, encoding="utf-8")
    return content.replace(b"\r", b"&#13;")


def _elements(path: Path, *, depth: int, root: str = "") -> Iterator[tuple[int, Element]]:
    reader = _Reader(depth, root)
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield from reader.feed(piece)
        yield from reader.feed(b"", last=True)
    except (expat.ExpatError, OSError, ValueError, LookupError) as error:
        raise BadDataset(f"cannot be read as XML ({error}).") from error


class _Reader:
    """Builds the elements at one depth and forgets those above them."""

    def __init__(self, depth: int, root: str) -> None:
        self._wanted, self._root = depth, root
        self._depth = -1
        self._builder: Any = None
        self._line = 0
        self._held = 0
        self._done: list[tuple[int, Element]] = []
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    def feed(self, piece: bytes, *, last: bool = False) -> list[tuple[int, Element]]:
        self._held += len(piece)
        self._parser.Parse(piece, last)
        if self._builder is None:
            self._held = 0
        elif self._held > MAX_ANNOTATION_BYTES:
            raise BadDataset(f"is larger than {MAX_ANNOTATION_BYTES // 2**20} MB at line {self._line}.")
        done, self._done = self._done, []
        return done

    def _doctype(self, *_: object) -> None:
        raise BadDataset("declares a DOCTYPE.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 0 and self._root and name != self._root:
            raise BadDataset(f"its root is <{name}>, not <{self._root}>.")
        if self._depth > _DEEPEST:
            raise BadDataset(f"is nested more than {_DEEPEST} deep at line {self._parser.CurrentLineNumber}.")
        if self._depth == self._wanted:
            self._builder, self._line = TreeBuilder(), self._parser.CurrentLineNumber
        if self._builder is not None:
            self._builder.start(name, attributes)

    def _text(self, text: str) -> None:
        if self._builder is not None:
            self._builder.data(text)

    def _end(self, name: str) -> None:
        if self._builder is not None:
            self._builder.end(name)
        if self._depth == self._wanted and self._builder is not None:
            self._done.append((self._line, self._builder.close()))
            self._builder, self._held = None, 0
        self._depth -= 1
