"""Words for what is wrong: what was expected, what was meant, what was given."""

import difflib
import re
from collections.abc import Sequence


def expected(message: str) -> str:
    """pydantic's "Input should be ..." as what follows "expected"."""
    what = message.removeprefix("Input should be ").split(", unable to")[0]
    return f"a number {what}" if what.startswith(("less", "greater")) else what[:1].lower() + what[1:]


def nearest_of(key: str, known: Sequence[str]) -> str:
    """The known key most like `key`, by its whole or, a little less, by its last part alone (a key that was
    written outside its section)."""

    def likeness(candidate: str) -> float:
        whole = difflib.SequenceMatcher(None, key, candidate).ratio()
        last = difflib.SequenceMatcher(None, key.rpartition(".")[2], candidate.rpartition(".")[2]).ratio()
        return max(whole, last - 0.1)

    return max(known, key=likeness)


def shown(value: object) -> str:
    """`value` for a message: short, and without the password of a URL."""
    text = re.sub(r"//([^/@]*):[^/@]*@", r"//\1:***@", repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."
