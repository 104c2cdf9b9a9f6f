"""What items can be asked for: fields, conditions on them, the order of a page. As text: query_text.py, beside this.

Two-valued: a comparison with what an item does not have is false, and `not` of it true. `!=` is `not … =`, `missing` is
`not has`, so there are no nodes for them.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from loop.domain.access import Permission
from loop.domain.errors import Invalid
from loop.domain.item import Item


class Op(StrEnum):
    EQUAL = "="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    CONTAINS = "~"
    STARTS = "^="


ORDERING = frozenset({Op.LESS, Op.AT_MOST, Op.MORE, Op.AT_LEAST})
_WORDS = frozenset({Op.EQUAL, Op.CONTAINS, Op.STARTS})
_SCALE = ORDERING | {Op.EQUAL}


class Kind(StrEnum):
    """What a field's values are, and so how it may be asked for."""

    TEXT = "text"
    CHOICE = "one of a few words"
    NUMBER = "a number"
    TIME = "a time"
    FLAG = "yes or no"
    VERSION = "yes, no or a number"
    TERM = "any number of texts"
    META = "text or a number"


OPS: Mapping[Kind, frozenset[Op]] = {
    Kind.TEXT: _WORDS,
    Kind.CHOICE: frozenset({Op.EQUAL}),
    Kind.NUMBER: _SCALE,
    Kind.TIME: _SCALE,
    Kind.FLAG: frozenset({Op.EQUAL}),
    Kind.VERSION: _SCALE,
    Kind.TERM: _WORDS,
    Kind.META: frozenset(Op),
}


@dataclass(frozen=True, slots=True)
class Field:
    """needs: what the asker must be allowed to, since the answer tells as much. options: of a CHOICE."""

    name: str
    kind: Kind
    needs: Permission
    says: str
    options: tuple[str, ...] = ()


_ALL = Permission.READ
_CALLER = Permission.PREDICT
_OWNER = Permission.OPERATE
META = "meta."

# Reviewers hold READ alone of these three. Whatever tells what a model said, what is known of an item or how old it is
# would tell audits and golden items from other work (loop/domain/stage.py); what operators write into tags may say
# anything.
FIELDS: Mapping[str, Field] = {
    field.name: field
    for field in (
        Field("digest", Kind.TEXT, _ALL, "SHA-256 of the image's bytes"),
        Field("source", Kind.TEXT, _ALL, "where it came from"),
        Field("group", Kind.TEXT, _ALL, "what it may not be torn from: a clip, a camera"),
        Field("media_type", Kind.TEXT, _ALL, "image/jpeg, image/png or image/webp"),
        Field("width", Kind.NUMBER, _ALL, "pixels"),
        Field("height", Kind.NUMBER, _ALL, "pixels"),
        Field("created_at", Kind.TIME, _CALLER, "when it came"),
        Field("captured_at", Kind.TIME, _CALLER, "when it was taken, as meta.captured_at says"),
        Field("split", Kind.CHOICE, _CALLER, "where an import fixed it", ("train", "val", "golden")),
        Field("model", Kind.TEXT, _CALLER, "version that made the newest prediction"),
        Field("risk", Kind.NUMBER, _CALLER, "of the newest prediction, in [0, 1]"),
        Field("decision", Kind.CHOICE, _CALLER, "about the newest prediction", ("accept", "review")),
        Field("stage", Kind.CHOICE, _CALLER, "that the newest prediction was routed to", ("annotate", "audit")),
        Field("detection", Kind.TERM, _CALLER, "label in the newest prediction"),
        Field("shape", Kind.TERM, _CALLER, "label in the ground truth"),
        Field("label", Kind.TERM, _CALLER, "label in either"),
        Field("truth", Kind.VERSION, _CALLER, "ground truth: yes, no, or its version"),
        Field("tag", Kind.TERM, _OWNER, "tag"),
        Field("work", Kind.CHOICE, _OWNER, "state of its tasks", ("open", "leased", "done", "skipped")),
        Field("corrections", Kind.NUMBER, _OWNER, "how many errors people found in what was predicted"),
        Field("failed", Kind.FLAG, _OWNER, "whether people found any; neither where nobody answered"),
        Field("golden", Kind.FLAG, _OWNER, "whether it is a golden item"),
        Field("lot", Kind.TEXT, _OWNER, "lot that its work is in"),
    )
}
FIELD_NAMES = (*FIELDS, META + "KEY")


def field_of(name: str) -> Field | None:
    """None where there is none with this name."""
    if name.startswith(META):
        needs = _CALLER if name == META + "captured_at" else _ALL
        return Field(name, Kind.META, needs, "what came with it under this key")
    return FIELDS.get(name)


# --- conditions --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ago:
    """A moment, counted back from when the query is asked."""

    seconds: int


Value = str | float | bool | datetime | Ago


@dataclass(frozen=True, slots=True)
class Compare:
    """value: as the field's kind asks for it; of META text or a number, of VERSION bool or a number."""

    field: str
    op: Op
    value: Value

    @property
    def values(self) -> tuple[Value, ...]:
        return (self.value,)


@dataclass(frozen=True, slots=True)
class OneOf:
    field: str
    values: tuple[Value, ...]

    @property
    def op(self) -> Op:
        return Op.EQUAL


@dataclass(frozen=True, slots=True)
class Has:
    field: str


@dataclass(frozen=True, slots=True)
class Not:
    part: "Query"


@dataclass(frozen=True, slots=True)
class And:
    """No And among the parts; none: everything."""

    parts: tuple["Query", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least two parts, no Or among them."""

    parts: tuple["Query", ...]


Leaf = Compare | OneOf | Has
Query = Leaf | Not | And | Or
EVERYTHING = And(())


def all_of(parts: Iterable[Query]) -> Query:
    """As few nodes as say it."""
    flat = tuple(inner for part in parts for inner in (part.parts if isinstance(part, And) else (part,)))
    return flat[0] if len(flat) == 1 else And(flat)


def any_of(parts: Iterable[Query]) -> Query:
    """parts: at least one."""
    flat = tuple(inner for part in parts for inner in (part.parts if isinstance(part, Or) else (part,)))
    return flat[0] if len(flat) == 1 else Or(flat)


def leaves(query: Query) -> Iterator[Leaf]:
    """Every condition in it, in the order of the text."""
    match query:
        case And(parts) | Or(parts):
            for part in parts:
                yield from leaves(part)
        case Not(part):
            yield from leaves(part)
        case _:
            yield query


def forbidden(query: Query, allowed: Callable[[Permission], bool]) -> str | None:
    """The first field of the query that asks for more than is allowed; None where there is none."""
    for leaf in leaves(query):
        field = field_of(leaf.field)
        if field is None or not allowed(field.needs):
            return leaf.field
    return None


# --- order and pages ---------------------------------------------------------------------------------------


SORTS = ("created_at", "captured_at", "risk", "width", "height")


@dataclass(frozen=True, slots=True)
class Sort:
    """By a field of SORTS, then the digest. Items without it come last, whichever the direction."""

    field: str = "created_at"
    descending: bool = True

    @classmethod
    def named(cls, text: str) -> "Sort":
        """`FIELD` ascending, `-FIELD` descending. Raises Invalid."""
        field = text.removeprefix("-")
        if field not in SORTS:
            raise Invalid(
                f"items cannot be sorted by {text[:40]!r}.",
                hint=f"There are: {', '.join(SORTS)}; with a minus in front the largest come first.",
            )
        return cls(field, text.startswith("-"))

    def __str__(self) -> str:
        return f"-{self.field}" if self.descending else self.field


Key = datetime | float | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends. key: what the last item is sorted by, None where it has none."""

    key: Key
    digest: str

    def __str__(self) -> str:
        """For `placed`; of one word."""
        if self.key is None:
            return f"~{self.digest}"
        return f"{self.key.isoformat() if isinstance(self.key, datetime) else repr(self.key)}~{self.digest}"


def placed(text: str, sort: Sort) -> Place:
    """Undoes `str` of a place in a list sorted so. Raises Invalid."""
    key, tilde, digest = text.partition("~")
    timed = FIELDS[sort.field].kind is Kind.TIME
    try:
        if not (tilde and re.fullmatch(r"[0-9a-f]{1,64}", digest)):
            raise ValueError
        return Place(None if not key else moment(key) if timed else number(key), digest)
    except ValueError:
        raise Invalid(
            f"the page cannot start after {text[:100]!r}.",
            hint="Take `after` from `next` of the page before, with the same sort, or leave it out to start again.",
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedItem:
    """An item with what it can be asked for by. routed: `accept`, or the stage that the newest prediction was routed
    to; None, as model_id and risk, where there is none. truth_version: 0 without ground truth. work: open, leased or
    done; None without tasks. corrections: None where nobody's answer to a prediction has settled it."""

    item: Item
    tags: tuple[str, ...]
    captured_at: datetime | None
    model_id: str | None
    risk: float | None
    routed: str | None
    truth_version: int
    work: str | None
    corrections: int | None


# --- values ------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"[+-]?(\d{1,300}(\.\d{0,300})?|\.\d{1,300})([eE][+-]?\d{1,3})?", re.ASCII)
_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SPAN = re.compile(r"(\d{1,12})([wdhms])", re.ASCII)
_LONGEST_AGO = timedelta(days=36_525)


def number(text: str) -> float:
    """A finite number in digits. Raises ValueError."""
    value = float(text) if _NUMBER.fullmatch(text) else float("nan")
    if not abs(value) < float("inf"):
        raise ValueError(text)
    return value


def moment(text: str) -> datetime:
    """ISO 8601; in UTC where no zone is given. Raises ValueError."""
    parsed = datetime.fromisoformat(text)
    try:
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ValueError(text) from None


def span(text: str) -> Ago:
    """Such as `7d`; units are w, d, h, m (minutes) and s. Raises ValueError for others, and for more than a century."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(text)
    seconds = int(found[1]) * _UNITS[found[2]]
    if seconds > _LONGEST_AGO.total_seconds():
        raise ValueError(text)
    return Ago(seconds)


def spelled(ago: Ago) -> str:
    """Undoes `span`, in the largest unit that divides it."""
    unit, seconds = next((unit, each) for unit, each in _UNITS.items() if ago.seconds % each == 0)
    return f"{ago.seconds // seconds}{unit}"


def number_in(text: str) -> float | None:
    """What `meta.KEY < 5` compares a text that came with an item by; None where it is no number."""
    try:
        return number(text)
    except ValueError:
        return None


def captured_in(meta: Mapping[str, str]) -> datetime | None:
    """When an item was taken, as far as it says so in a form that can be read."""
    try:
        return moment(meta.get("captured_at", ""))
    except ValueError:
        return None


def prefix_end(prefix: str) -> str | None:
    """The smallest text behind all that start with `prefix`, in the order of code points; None where there is none."""
    for last in range(len(prefix) - 1, -1, -1):
        following = ord(prefix[last]) + 1
        if following <= 0x10FFFF:
            # Surrogates are no characters: nothing is stored with one.
            return prefix[:last] + chr(0xE000 if 0xD800 <= following < 0xE000 else following)
    return None


# --- tags and views ----------------------------------------------------------------------------------------

MOST_TAGS = 100  # of one item
_TAG = re.compile(r"[^\s,\"'](?:[^\n\r\t,\"']{0,98}[^\s,\"'])?")


def checked_tag(text: str) -> str:
    """Raises Invalid for what is no tag."""
    if not _TAG.fullmatch(text) or not text.isprintable():
        raise Invalid(
            f"{text[:100]!r} cannot be a tag.",
            hint="A tag has 1 to 100 characters, no commas or quotes, and no blanks at its ends.",
        )
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """kind: item, prediction, task, submission, truth, snapshot or event. id: whose; of a truth its version. actor: a
    token or the name of a process, "" where that is not kept. body: what else there is to say, as JSON."""

    at: datetime
    kind: str
    id: str
    actor: str
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A query that was given a name in its project."""

    project_id: str
    name: str
    query: str
    sort: str
    actor: str
    updated_at: datetime


def checked_name(text: str) -> str:
    """Of a view; it stands in addresses. Raises Invalid."""
    if not re.fullmatch(r"[\w](?:[\w .-]{0,62}[\w.-])?", text):
        raise Invalid(
            f"{text[:100]!r} cannot be the name of a view.",
            hint="A name has 1 to 64 letters, digits, blanks, dots, dashes and underscores, and begins with a letter "
            "or digit.",
        )
    return text
