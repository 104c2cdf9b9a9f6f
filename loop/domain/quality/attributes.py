"""Values that several people gave to one attribute: whether they are the same, and which is believed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low

from loop.domain.quality.ballots import NOTHING, Ballot, elected, kept
from loop.domain.recipes.ontology import Attribute, AttributeType
from loop.domain.recipes.recipe import Recipe
from loop.domain.truth import Value

# By label and name. What is not there, no answer needs: it is left out of comparisons and of what is merged.
Attributes = Mapping[tuple[str, str], Attribute]

# Of each person who gave the shape the label, the value; None where there is none.
Given = Mapping[str, Value | None]

_ROUNDING = 1e-9  # of a difference between decimal numbers


@dataclass(frozen=True, slots=True)
class Believed:
    """value: one that somebody gave, None for none at all. sure: in [0, 1]. differs: not all said the same."""

    value: Value | None
    sure: float
    differs: bool


def attributes_of(recipe: Recipe) -> Attributes:
    return {(label.name, one.name): one for label in recipe.labels for one in label.attributes}


def question_of(label: str, name: str) -> str:
    return f"attribute/{label}/{name}"


def given_value(attributes: Mapping[str, Value], name: str) -> Value | None:
    """None where nothing is said: an empty text and an empty choice count as nothing, as for the recipe's rules."""
    value = attributes.get(name)
    if isinstance(value, str) and not value.strip():
        return None
    return None if value == () else value


def same_value(attribute: Attribute, one: Value | None, other: Value | None) -> bool:
    """Numbers within the attribute's tolerance, texts but for spaces around them, choices in whatever order."""
    return _said(one) == _said(other) or (attribute.type is AttributeType.NUMBER and _near(attribute, one, other))


def same_attributes(label: str, one: Mapping[str, Value], other: Mapping[str, Value], known: Attributes) -> bool:
    """Of two shapes of one label."""
    return all(
        same_value(known[label, name], given_value(one, name), given_value(other, name))
        for name in {**one, **other}
        if (label, name) in known
    )


def believed(attribute: Attribute, given: Sequence[Given], *, earlier: Sequence[Ballot] = ()) -> list[Believed]:
    """Of each shape. earlier: ballots of other items on the same attribute, as `ballots_of` gives them.

    Options and yes or no are voted on. Of numbers that which lies in the middle stands, and those within its tolerance
    are for it. A text stands where all gave it: there is no saying which of two is right.
    """
    if attribute.type is AttributeType.NUMBER:
        return [_number(attribute, one) for one in given]
    if attribute.type is AttributeType.TEXT:
        return [_text(one) for one in given]
    said = _said_by(given)
    found = elected(said, choices=_choices(attribute, [*said, *earlier]), earlier=earlier)
    return [
        Believed(_value_of(one.choice, values), one.sure, len(set(ballot.values())) > 1)
        for one, values, ballot in zip(found, given, said, strict=True)
    ]


def ballots_of(label: str, attribute: Attribute, given: Sequence[Given]) -> list[Ballot]:
    """To be kept, for who is right how often; numbers and texts, of which no two need be alike, tell nothing."""
    if attribute.type in (AttributeType.NUMBER, AttributeType.TEXT):
        return []
    return kept(question_of(label, attribute.name), _said_by(given))


def _said_by(given: Sequence[Given]) -> list[Ballot]:
    return [{name: _said(value) for name, value in one.items()} for one in given]


def _said(value: Value | None) -> str:
    """Equal for what is the same."""
    if value is None:
        return NOTHING
    if isinstance(value, tuple):
        return json.dumps(sorted(value))
    return value.strip() if isinstance(value, str) else json.dumps(value)


def _value_of(choice: str, given: Given) -> Value | None:
    """As somebody gave it."""
    return next(value for value in given.values() if _said(value) == choice)


def _choices(attribute: Attribute, ballots: Sequence[Ballot]) -> list[str]:
    """All that could be said, where these are few; of several options together, those that were."""
    heard = {choice for ballot in ballots for choice in ballot.values()}
    if attribute.type is AttributeType.SELECT:
        could = [*attribute.options, NOTHING]
    elif attribute.type is AttributeType.BOOLEAN:
        could = ["true", "false", NOTHING]
    else:
        could = [NOTHING]
    return [*could, *sorted(heard - set(could))]


def _number(attribute: Attribute, given: Given) -> Believed:
    numbers = sorted(value for value in given.values() if isinstance(value, int | float))
    if not numbers:
        return Believed(None, 1.0, differs=False)
    middle = median_low(numbers)
    near = {name: _said(middle if _near(attribute, value, middle) else value) for name, value in given.items()}
    (found,) = elected([near], choices=sorted(set(near.values())))
    values = {_said(value): value for value in [*given.values(), middle]}
    return Believed(values[found.choice], found.sure, len(set(near.values())) > 1)


def _text(given: Given) -> Believed:
    """Of those who differ, the most frequent is shown to who decides."""
    said = [_said(value) for value in given.values()]
    texts = sorted(map(str, filter(None, given.values())), key=lambda text: (-said.count(_said(text)), len(text), text))
    differs = len(set(said)) > 1
    return Believed(texts[0] if texts else None, 0.0 if differs else 1.0, differs)


def _near(attribute: Attribute, one: Value | None, other: Value | None) -> bool:
    if not isinstance(one, int | float) or not isinstance(other, int | float):
        return False
    return abs(one - other) <= (attribute.tolerance or 0.0) + _ROUNDING
