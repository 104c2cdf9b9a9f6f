"""The query language of items: text to conditions and back (docs/items.md). Recursive descent; every error says where.

query      = [ any ]
any        = all { "or" all }
all        = part { "and" part }
part       = "not" part | "(" any ")" | ( "has" | "missing" ) FIELD | FIELD test
test       = operator value | [ "not" ] "in" "(" value { "," value } ")"
operator   = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "contains" | "^=" | "starts-with"
value      = WORD | "quoted" | 'quoted' | SPAN "ago"
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

from loop.domain.errors import BadQuery
from loop.domain.items.queries import (
    EVERYTHING,
    FIELD_NAMES,
    META,
    OPS,
    Ago,
    And,
    Compare,
    Field,
    Has,
    Kind,
    Not,
    OneOf,
    Op,
    Or,
    Query,
    Value,
    all_of,
    any_of,
    field_of,
    moment,
    number,
    span,
    spelled,
)

# Of one query; what people write is far below.
LONGEST = 4_000
DEEPEST = 30
MOST_VALUES = 500

_TOKEN = re.compile(
    r"""\s*(?:(?P<mark>!=|<=|>=|\^=|[=<>~(),])|(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<word>[^\s=<>!~^(),"']+))""",
    re.DOTALL,
)
_BARE = re.compile(r"[^\W\d][\w./:@-]*")
_KEYWORDS = frozenset({"and", "or", "not", "in", "has", "missing", "contains", "starts-with", "ago"})
_NAMES: dict[str, Op] = {"contains": Op.CONTAINS, "starts-with": Op.STARTS}
_FLAGS = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class _Token:
    """kind: mark, quoted, word or end. text: as written; value: without quotes. ends: where the next begins."""

    kind: str
    text: str
    value: str
    at: int
    ends: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words


def parsed(text: str) -> Query:
    """The conditions that a text states; everything where it is blank. Raises BadQuery."""
    if len(text) > LONGEST:
        raise BadQuery(f"the query has {len(text)} characters.", hint=f"Write at most {LONGEST}.", position=LONGEST)
    return _Parser(text).query()


def printed(query: Query) -> str:
    """A text that `parsed` makes the same conditions of."""
    match query:
        case And(parts):
            return " and ".join(f"({printed(part)})" if isinstance(part, Or) else printed(part) for part in parts)
        case Or(parts):
            return " or ".join(printed(part) for part in parts)
        case Not(part):
            return _denied(part)
        case Compare(field, op, value):
            return f"{_named(field)} {op} {_valued(value)}"
        case OneOf(field, values):
            return f"{_named(field)} in ({_listed(values)})"
        case Has(field):
            return f"has {_named(field)}"


def _denied(part: Query) -> str:
    match part:
        case Compare(field, Op.EQUAL, value):
            return f"{_named(field)} != {_valued(value)}"
        case OneOf(field, values):
            return f"{_named(field)} not in ({_listed(values)})"
        case Has(field):
            return f"missing {_named(field)}"
        case And() | Or():
            return f"not ({printed(part)})"
    return f"not {printed(part)}"


def _named(field: str) -> str:
    key = field.removeprefix(META)
    return field if key == field or re.fullmatch(r"[\w.-]+", key) else META + _quoted(key)


def _listed(values: Iterable[Value]) -> str:
    return ", ".join(_valued(value) for value in values)


def _valued(value: Value) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.isoformat()
        case Ago():
            return f"{spelled(value)} ago"
        case float() | int():
            return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    return value if _BARE.fullmatch(value) and value.lower() not in _KEYWORDS else _quoted(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split(text)
        self._next = 0
        self._depth = 0
        self._values = 0

    def query(self) -> Query:
        if self._token.kind == "end":
            return EVERYTHING
        found = self._any()
        if self._token.kind != "end":
            raise self._unexpected("and, or, or the end of the query")
        return found

    # --- tokens

    def _split(self, text: str) -> list[_Token]:
        tokens: list[_Token] = []
        at = 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if found is None:
                raise self._unreadable(text, at)
            kind = str(found.lastgroup)
            raw = found[kind]
            value = re.sub(r"\\(.)", r"\1", raw[1:-1], flags=re.DOTALL) if kind == "quoted" else raw
            tokens.append(_Token(kind, raw, value, found.start(kind), found.end()))
            at = found.end()
        return [*tokens, _Token("end", "", "", len(text), len(text))]

    @staticmethod
    def _unreadable(text: str, at: int) -> BadQuery:
        at += len(text[at:]) - len(text[at:].lstrip())
        if text[at] in "\"'":
            return BadQuery(
                f"at {at + 1}: the quote {text[at]} is never closed.",
                hint="Close it; write \\ before a quote that belongs to the text.",
                position=at,
            )
        return BadQuery(
            f"at {at + 1}: found {text[at]!r}, which means nothing here.", hint="Quote it.", position=at, found=text[at]
        )

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def _taken(self, *words: str) -> bool:
        """Whether the next token is one of these words, or the mark; it is then taken."""
        token = self._token
        if token.is_word(*words) or (token.kind == "mark" and token.text in words):
            self._next += 1
            return True
        return False

    def _require(self, mark: str, expected: str | None = None) -> None:
        if not self._taken(mark):
            raise self._unexpected(expected or mark)

    def _unexpected(self, expected: str, near: Sequence[str] = (), at: _Token | None = None) -> BadQuery:
        token = at or self._token
        found = "the end" if token.kind == "end" else token.text[:60]
        close = get_close_matches(token.value[:60].lower(), near, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(close)}?" if close else "docs/items.md describes the language."
        return BadQuery(
            f"at {token.at + 1}: found {found}, expected {expected}.",
            hint=hint,
            position=token.at,
            found=found,
            expected=expected,
            near=close,
        )

    # --- grammar

    def _any(self) -> Query:
        parts = [self._all()]
        while self._taken("or"):
            parts.append(self._all())
        return any_of(parts)

    def _all(self) -> Query:
        parts = [self._part()]
        while self._taken("and"):
            parts.append(self._part())
        return all_of(parts)

    def _part(self) -> Query:
        self._depth += 1
        if self._depth > DEEPEST:
            raise BadQuery(
                f"at {self._token.at + 1}: more than {DEEPEST} parentheses and nots inside each other.",
                hint="Write it flatter.",
                position=self._token.at,
            )
        found = self._inner()
        self._depth -= 1
        return found

    def _inner(self) -> Query:
        if self._taken("not"):
            return Not(self._part())
        if self._taken("("):
            found = self._any()
            self._require(")", "and, or, or )")
            return found
        if self._token.is_word("has", "missing"):
            has = self._take().is_word("has")
            at = self._token
            field = self._field("a field")
            if field.kind is Kind.FLAG:
                raise self._unexpected(f"a field that an item may lack; write {field.name} = yes or no", at=at)
            return Has(field.name) if has else Not(Has(field.name))
        return self._test(self._field("a field, not, has, missing or ("))

    def _field(self, expected: str) -> Field:
        token = self._token
        if token.kind != "word":
            raise self._unexpected(expected)
        self._next += 1
        name = token.text
        if name == META and self._token.kind == "quoted" and self._token.at == token.ends:
            name += self._take().value
        elif name == META:
            raise self._unexpected("a key directly behind meta.")
        field = field_of(name)
        if field is None:
            raise self._unexpected(expected, FIELD_NAMES, at=token)
        return field

    def _test(self, field: Field) -> Query:
        listed = field.kind is not Kind.FLAG
        if listed and self._taken("not"):
            self._require("in")
            return Not(self._one_of(field))
        if listed and self._taken("in"):
            return self._one_of(field)
        token = self._token
        if token.kind == "mark" and token.text == "!=":
            self._next += 1
            return Not(Compare(field.name, Op.EQUAL, self._value(field, Op.EQUAL)))
        name = token.text.lower()
        op = _NAMES.get(name) or (Op(name) if token.kind == "mark" and name in set(Op) else None)
        if op not in OPS[field.kind]:
            known = [*sorted(OPS[field.kind]), "!=", *(["in"] if listed else [])]
            raise self._unexpected(f"one of {' '.join(known)} behind {field.name}, which is {field.kind}")
        self._next += 1
        return Compare(field.name, op, self._value(field, op))

    def _one_of(self, field: Field) -> OneOf:
        self._require("(", "( and a list of values")
        values = [self._value(field, Op.EQUAL)]
        while self._taken(","):
            values.append(self._value(field, Op.EQUAL))
        self._require(")", ", or )")
        return OneOf(field.name, tuple(values))

    # --- values

    def _value(self, field: Field, op: Op) -> Value:
        self._values += 1
        if self._values > MOST_VALUES:
            raise BadQuery(f"the query has more than {MOST_VALUES} values.", hint="Ask in parts.", position=LONGEST)
        token = self._token
        expected = _EXPECTED[field.kind] if field.kind is not Kind.CHOICE else f"one of {', '.join(field.options)}"
        if token.kind not in ("word", "quoted") or (token.kind == "word" and token.text.lower() in _KEYWORDS):
            raise self._unexpected(expected, field.options)
        self._next += 1
        try:
            return self._read(field, op, token)
        except ValueError:
            raise self._unexpected(expected, field.options or tuple(_FLAGS), at=token) from None

    def _read(self, field: Field, op: Op, token: _Token) -> Value:
        """Raises ValueError for what is no value of the field."""
        text = token.value
        match field.kind:
            case Kind.NUMBER:
                return number(text)
            case Kind.TIME:
                return span(text) if self._taken("ago") else moment(text)
            case Kind.FLAG:
                return _flag(text)
            case Kind.VERSION:
                return _flag(text) if op is Op.EQUAL and text.lower() in _FLAGS else number(text)
            case Kind.CHOICE if text not in field.options:
                raise ValueError(text)
            case Kind.META if token.kind == "word" and op not in (Op.CONTAINS, Op.STARTS):
                return _number_or_text(text)
        return text


_EXPECTED = {
    Kind.TEXT: "a word or a quoted text",
    Kind.TERM: "a word or a quoted text",
    Kind.META: "a word, a number or a quoted text",
    Kind.NUMBER: "a number",
    Kind.TIME: "a time such as 2026-01-31, 2026-01-31T12:00:00Z or 7d ago",
    Kind.FLAG: "yes or no",
    Kind.VERSION: "yes, no or a number",
}


def _flag(text: str) -> bool:
    if text.lower() not in _FLAGS:
        raise ValueError(text)
    return _FLAGS[text.lower()]


def _number_or_text(text: str) -> float | str:
    try:
        return number(text)
    except ValueError:
        return text
