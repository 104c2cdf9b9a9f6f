"""Large JSON documents, one record at a time: the members of their lists, without the whole in memory.

Each record is parsed by the standard library's scanner, in C, in a window that moves over the text.
"""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loop.domain.errors import BadDataset
from loop.exchange.reading import MAX_ANNOTATION_BYTES

_PIECE = 1 << 20
_SPACES = " \t\n\r"
_SPACE = re.compile(f"[{_SPACES}]*")
# Characters that must follow a value in the window: a number may go on behind it, after `5.` or `5e-`.
_AHEAD = 3
_DECODER = json.JSONDecoder()


def records(path: Path) -> Iterator[tuple[str, Any]]:
    """(key, record) for each member of each list in an object, (key, value) for what is no list; for a list as the
    document itself the key is "". Raises BadDataset where it is no JSON, with the place, also in the middle."""
    try:
        with path.open("rb") as file:
            yield from _Window(file).document()
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise BadDataset(f"cannot be read as JSON ({error})") from error


def begins_with(path: Path) -> str:
    """The first character that is no space, "" where there is none or it is no UTF-8."""
    try:
        with path.open("rb") as file:
            return file.read(1000).decode("utf-8-sig", errors="ignore").lstrip()[:1]
    except OSError:
        return ""


class _Window:
    def __init__(self, file: Any) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._at, self._passed = "", 0, 0
        self._ended = False

    def document(self) -> Iterator[tuple[str, Any]]:
        first = self._next()
        if first == "[":
            self._at += 1
            yield from (("", record) for record in self._members())
        elif first == "{":
            self._at += 1
            yield from self._fields()
        else:
            raise self._bad("neither a list nor an object")
        if self._next():
            raise self._bad("something behind its end")

    def _fields(self) -> Iterator[tuple[str, Any]]:
        for key in self._separated("}"):
            if not isinstance(key, str) or self._next() != ":":
                raise self._bad("no name and colon")
            self._at += 1
            if self._next() == "[":
                self._at += 1
                yield from ((key, record) for record in self._members())
            else:
                yield key, self._value()

    def _members(self) -> Iterator[Any]:
        return self._separated("]")

    def _separated(self, end: str) -> Iterator[Any]:
        """The values up to `end`, which is passed over; between them are commas."""
        if self._next() == end:
            self._at += 1
            return
        while True:
            yield self._value()
            following = self._next()
            if following not in (end, ","):
                raise self._bad(f"neither a comma nor {end}")
            self._at += 1
            if following == end:
                return

    def _next(self) -> str:
        """The next character that is no space; it is not passed over. "" at the end."""
        if (here := self._text[self._at : self._at + 1]) and here not in _SPACES:
            return here  # nearly always
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._more()

    def _value(self) -> Any:
        self._next()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended:
                    raise self._bad(error.msg) from error
            else:
                if end + _AHEAD <= len(self._text) or self._ended:
                    self._at = end
                    return value
            if len(self._text) - self._at > MAX_ANNOTATION_BYTES:
                raise self._bad(f"no value of at most {MAX_ANNOTATION_BYTES // 2**20} MB")
            self._more()

    def _more(self) -> None:
        piece = self._file.read(_PIECE)
        self._ended = not piece
        self._passed += self._at
        self._text = self._text[self._at :] + self._decoder.decode(piece, self._ended)
        self._at = 0

    def _bad(self, what: str) -> BadDataset:
        return BadDataset(f"cannot be read as JSON ({what} at character {self._passed + self._at})")
