"""What a document changes of a policy, and which of its keys a policy does not have."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from loop.domain.errors import Invalid
from serving.api.schemas.projects import PolicyIn, PolicyOut

ABSENT = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """old, new: plain values, or ABSENT."""

    place: str
    old: object
    new: object


def document_of(policy: PolicyOut) -> dict[str, Any]:
    """With the keys that a change of policy takes."""
    return policy.model_dump(mode="json", exclude={"version"})


def changes_to(present: PolicyOut, document: Mapping[str, Any]) -> dict[str, Any]:
    """What of the document is not so yet: the rest is no change, and is not told as one. Raises Invalid for keys that
    no policy has."""
    try:
        wanted = PolicyIn.model_validate(document)
    except ValidationError as error:
        _require_known(error)
        return dict(document)  # the service says what is wrong with its values
    given = {name: value for name, value in _given(wanted).items() if value is not None}
    return _not_yet(given, document_of(present), PolicyIn)


def routing_effects(present: PolicyOut, changes: Mapping[str, Any]) -> list[str]:
    """What of these changes would let other predictions go to people, in words."""
    told = []
    if (threshold := changes.get("threshold")) is not None:
        more = "more predictions" if threshold < present.threshold else "fewer predictions"
        who = "every prediction goes to people" if threshold == 0 else f"{more} go to people"
        told.append(f"threshold {present.threshold:g} → {threshold:g}: {who}")
    if (rate := changes.get("audit_rate")) is not None:
        more = "more" if rate > present.audit_rate else "fewer"
        what = f"{more} audits of what passes" if rate else "no audits, so what passes is measured no more"
        told.append(f"audit_rate {present.audit_rate:g} → {rate:g}: {what}")
    if changes.get("audit_rates"):
        told.append("audit_rates: audits are drawn from other predictions")
    if "promises" in changes.get("guarantee", {}):
        held = "with a promise, what keeps it decides what passes, not the threshold"
        freed = "nothing is promised any more, and the threshold decides what passes"
        told.append(f"guarantee.promises: {held if changes['guarantee']['promises'] else freed}")
    return told


def differences(old: object, new: object, place: str = "") -> Iterator[Difference]:
    """Leaf by leaf. Lists are compared element by element where these are maps and as many."""
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from differences(old.get(name, ABSENT), new.get(name, ABSENT), _under(place, name))
    elif _maps(old) and _maps(new) and len(old) == len(new):  # type: ignore[arg-type]
        for number, (before, after) in enumerate(zip(old, new, strict=True)):  # type: ignore[call-overload]
            yield from differences(before, after, f"{place}[{number}]")
    else:
        yield Difference(place, old, new)


def _maps(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _under(place: str, name: str) -> str:
    """A source may be named anything: what could be taken for more than one key is quoted."""
    if name.replace("-", "_").isidentifier():
        return f"{place}.{name}" if place else name
    return f"{place}[{name!r}]"


# --- what is not so yet ----------------------------------------------------------------------------------


def _given(model: BaseModel) -> dict[str, Any]:
    """What was given, in the form in which the service says it: numbers as numbers, elements of lists in full."""
    plain = model.model_dump(mode="json")
    fields = {name: getattr(model, name) for name in type(model).model_fields if name in model.model_fields_set}
    return {name: _given(value) if isinstance(value, BaseModel) else plain[name] for name, value in fields.items()}


def _not_yet(given: Mapping[str, Any], present: Mapping[str, Any], kind: type[BaseModel]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name, value in given.items():
        part = _part(kind.model_fields[name].annotation)
        if part is not None and isinstance(value, dict):
            if inner := _not_yet(value, present[name], part):
                changes[name] = inner
        elif value != present[name]:
            changes[name] = value
    return changes


def _part(annotation: Any) -> type[BaseModel] | None:
    """The model of a part, of which single keys can be changed; a list or a map is replaced as a whole."""
    kinds = (annotation, *get_args(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


# --- keys that there are not -----------------------------------------------------------------------------


def _require_known(error: ValidationError) -> None:
    places = [one["loc"] for one in error.errors(include_url=False) if one["type"] == "extra_forbidden"]
    if not places:
        return
    said = "; ".join(f"{_written(place)} is not known{_nearest(place)}" for place in places[:5])
    strange = next((place for place in places if not _nearest(place)), None)
    hint = f"What may stand there: {', '.join(_names_beside(strange))}." if strange else "Correct it, or leave it out."
    raise Invalid(f"{said}.", hint=hint)


def _nearest(place: tuple[int | str, ...]) -> str:
    near = difflib.get_close_matches(str(place[-1]), _names_beside(place), n=1)
    return f", did you mean {near[0]}?" if near else ""


def _names_beside(place: tuple[int | str, ...]) -> list[str]:
    kind: type[BaseModel] = PolicyIn
    for name in place[:-1]:
        if isinstance(name, str):
            kind = _model_in(kind.model_fields[name].annotation) or kind
    return list(kind.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Also of the elements of a list."""
    return _part(annotation) or next(filter(None, map(_model_in, get_args(annotation))), None)


def _written(place: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
