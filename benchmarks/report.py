"""What every benchmark gives: figures against their bars, as a table and as benchmarks/results/NAME.json."""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

QUICK = os.environ.get("QUICK") == "1"
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Figure:
    """One row. `bar` is what `value` must reach or must not exceed, as `ok` was decided; None: for information.
    n: runs, requests, or what else was counted."""

    figure: str
    value: float
    bar: float | None
    unit: str
    n: int
    ok: bool


def at_most(figure: str, value: float, bar: float, unit: str, n: int) -> Figure:
    return Figure(figure, float(value), bar, unit, n, bool(value <= bar))


def at_least(figure: str, value: float, bar: float, unit: str, n: int) -> Figure:
    return Figure(figure, float(value), bar, unit, n, bool(value >= bar))


def reading(figure: str, value: float, unit: str, n: int) -> Figure:
    """A value that nothing is asked of."""
    return Figure(figure, float(value), None, unit, n, True)


def seconds_of(work: Callable[[], object]) -> float:
    """By the wall clock."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def table(found: Sequence[Figure]) -> Table:
    shown = Table("figure", "value", "bar", "unit", "n", "")
    for one in found:
        mark = "" if one.bar is None else "[green]ok[/]" if one.ok else "[bold red]NOT MET[/]"
        shown.add_row(one.figure, f"{one.value:.3f}", _bar(one), one.unit, str(one.n), mark)
    return shown


def _bar(one: Figure) -> str:
    return "" if one.bar is None else f"{one.bar:g}"


def publish(name: str, found: Sequence[Figure], console: Console) -> int:
    """Print the table, write benchmarks/results/`name`.json, and give the exit code: 1 where a bar is not met."""
    console.print(table(found))
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps([asdict(one) for one in found], indent=1) + "\n"
    (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")
    return 0 if all(one.ok for one in found) else 1
