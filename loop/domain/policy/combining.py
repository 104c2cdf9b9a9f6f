"""Named conditions combined: any of them, all of them, and both inside each other."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from loop.domain.errors import Invalid

_DEEPEST = 4  # combinations inside each other
_EXAMPLE = "Write for example {any: [{all: [corrected, failure_rate]}, drift]}."


class Word(StrEnum):
    ANY = "any"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Combined:
    """of: names of conditions, or further combinations; one or more, none twice."""

    word: Word
    of: "tuple[str | Combined, ...]"

    def holds(self, state: Callable[[str], bool]) -> bool:
        """state: of each condition, by its name."""
        parts = (state(one) if isinstance(one, str) else one.holds(state) for one in self.of)
        return any(parts) if self.word is Word.ANY else all(parts)

    def names(self) -> Iterator[str]:
        """As they are written; one may stand in several places."""
        for one in self.of:
            if isinstance(one, str):
                yield one
            else:
                yield from one.names()

    def in_words(self) -> str:
        joint = " or " if self.word is Word.ANY else " and "
        return joint.join(one if isinstance(one, str) else _enclosed(one) for one in self.of)


def _enclosed(one: Combined) -> str:
    return one.in_words() if len(one.of) == 1 else f"({one.in_words()})"


def combined_from(document: object, known: Collection[str], *, field: str) -> Combined:
    """What `document_of` wrote, or a person: {"any": [...]} or {"all": [...]}, with names or more of these in it.

    Raises Invalid, naming the place.
    """
    if not isinstance(document, Mapping):
        raise Invalid(f"{field} is no combination of conditions.", hint=_EXAMPLE, field=field)
    return _combined(document, known, field, _DEEPEST)


def document_of(combined: Combined) -> dict[str, list[object]]:
    """As JSON can say it."""
    return {str(combined.word): [one if isinstance(one, str) else document_of(one) for one in combined.of]}


def _combined(document: Mapping[object, object], known: Collection[str], place: str, deeper: int) -> Combined:
    if deeper == 0:
        raise Invalid(f"{place}: more than {_DEEPEST} combinations are inside each other.", hint=_EXAMPLE, field=place)
    if len(document) != 1 or (word := next(iter(document))) not in tuple(Word):
        said = ", ".join(map(repr, document)) or "nothing"
        raise Invalid(f"{place} says {said}; it says either any or all.", hint=_EXAMPLE, field=place)
    place = f"{place}.{word}"
    members = document[word]
    if not isinstance(members, list | tuple) or not members:
        raise Invalid(f"{place} is no list of conditions.", hint=_EXAMPLE, field=place)
    of = tuple(_member(one, known, f"{place}[{number}]", deeper) for number, one in enumerate(members))
    if len(set(of)) < len(of):
        raise Invalid(f"{place} names a condition twice.", hint="Name each once.", field=place)
    return Combined(Word(str(word)), of)


def _member(one: object, known: Collection[str], place: str, deeper: int) -> str | Combined:
    if isinstance(one, Mapping):
        return _combined(one, known, place, deeper - 1)
    if not isinstance(one, str) or one not in known:
        raise Invalid(f"{place}: there is no condition {one!r}.", hint=f"There are: {', '.join(known)}.", field=place)
    return one
