"""A process that asks rule functions: `python -m loop.launching.rule_worker`. One JSON object a line in, one a line
out.

It may be killed at any moment, and holds nothing. See `loop.launching.rule_functions`.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from itertools import islice
from typing import Any

from loop.domain.recipes.rules import MOST_FINDINGS, Scene
from loop.domain.truth import shape_from_json

GROUP = "askance.rules"
_LONGEST_MESSAGE = 500
# Seconds after which a process ends itself that nobody is left to kill.
_FORSAKEN = 10
# Address space; libraries reserve much more than they use.
_MOST_BYTES = 8 * 2**30

Function = Callable[[Scene], Iterable[Any]]


def main() -> None:
    _limit_memory()
    # What a function prints must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    loaded = {point.name: _loaded(point.load) for point in entry_points(group=GROUP)}
    _say(answers, {"ready": sorted(loaded)})
    for line in sys.stdin:
        _say(answers, _answer(loaded, json.loads(line)))


def _loaded(load: Callable[[], Function]) -> Function | str:
    try:
        return load()
    except Exception as error:  # whatever a foreign module does while it is imported
        return f"it cannot be imported ({type(error).__name__}: {error})"[:_LONGEST_MESSAGE]


def _answer(loaded: dict[str, Function | str], asked: dict[str, Any]) -> dict[str, Any]:
    function = loaded.get(asked["function"], "it is not there")
    if isinstance(function, str):
        return {"failed": function}
    shapes = tuple(shape_from_json(document) for document in asked["shapes"])
    signal.alarm(_FORSAKEN)
    try:
        findings = function(Scene(shapes, asked["width"], asked["height"]))
        return {"found": [_finding(one) for one in islice(findings, MOST_FINDINGS)]}
    except Exception as error:
        return {"failed": f"it raised {type(error).__name__}: {error}"[:_LONGEST_MESSAGE]}
    finally:
        signal.alarm(0)


def _finding(found: Any) -> list[Any]:
    """A message, or a message with the ids of shapes."""
    message, shapes = (found, ()) if isinstance(found, str) else found
    return [str(message)[:_LONGEST_MESSAGE], [str(one)[:64] for one in shapes]]


def _say(answers: Any, document: dict[str, Any]) -> None:
    answers.write(json.dumps(document) + "\n")
    answers.flush()


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = _MOST_BYTES if hard == resource.RLIM_INFINITY else min(_MOST_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))


if __name__ == "__main__":
    main()
