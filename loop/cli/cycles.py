"""`askance cycle`: retraining."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from loop.cli.command_line import (
    ConfigOption,
    JsonOption,
    ProjectOption,
    UrlOption,
    app,
    client_of,
    console,
    print_json,
    print_table,
    progress_bar,
    table_of,
)
from loop.cli.documents import triggers_in
from loop.cli.writing import writing
from loop.domain.errors import CycleFailed, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from serving.api.schemas.models import CycleOut

cycle_app = typer.Typer(no_args_is_help=True, help="Retraining: snapshot, train, evaluate, gate, promote.")
app.add_typer(cycle_app, name="cycle")

EvaluatedCycle = Annotated[
    str | None, typer.Argument(help="Its id; the newest that was evaluated where none is named.")
]


@cycle_app.command("run")
def cycle_run(
    project: ProjectOption,
    reason: Annotated[str, typer.Option(help="Kept with the cycle.")] = "asked for",
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Larger from random weights, e.g. 0.01.")] = None,
    mode: Annotated[str | None, typer.Option(help="superior or non_inferior.")] = None,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Fresh weights of training.base, not the champion's.")
    ] = False,
    recheck: Annotated[
        int | None,
        typer.Option(min=0, max=1000, help="Doubtful items that go back to people first; else the policy's."),
    ] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Retrain on the present ground truth and promote what the gate lets through."""
    from pydantic import ValidationError

    from serving.api.schemas.models import CycleIn

    start = "scratch" if from_scratch else None
    try:
        given = {
            "reason": reason, "epochs": epochs, "learning_rate": learning_rate, "mode": mode, "start": start,
            "recheck": recheck,
        }  # fmt: skip
        wish = CycleIn.model_validate(given)
    except ValidationError as error:
        raise typer.BadParameter("; ".join(e["msg"] for e in error.errors())) from None
    follow = _along_a_bar if console.is_terminal else _by_lines
    with client_of(config, url) as client:
        started = client.start_cycle(project, wish)
        finished = follow(client.follow_cycle(project, started.id))
    _report_cycle(finished)


@cycle_app.command("list")
def cycle_list(
    project: ProjectOption, as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None
) -> None:
    """The newest cycles."""
    table = table_of("cycle", "state", "step", "by", "reason", "candidate", "error")
    with client_of(config, url) as client:
        found = client.cycles(project)
    if as_json:
        print_json(found)
        return
    for c in found.cycles:
        table.add_row(c.id, c.state, c.step, c.actor, c.reason, c.candidate_id or "-", c.error)
    print_table(table)


@cycle_app.command("report")
def cycle_report(
    project: ProjectOption,
    cycle: EvaluatedCycle = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to write it; CYCLE.html where none is named.")
    ] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """One HTML page: what a cycle learned, why its candidate was promoted or not, and what to label next."""
    with client_of(config, url) as client:
        known = cycle or newest_evaluated(client.cycles(project).cycles, project)
        page = client.cycle_report(project, known)
    path = out or Path(f"{known}.html")
    with writing("the report", path):
        path.write_text(page, encoding="utf-8")
    console.print(f"{path}: {len(page) // 1000} kB")


@cycle_app.command("cancel")
def cycle_cancel(
    project: ProjectOption,
    cycle: Annotated[str, typer.Argument(help="Its id.")],
    reason: Annotated[str, typer.Option(help="Kept with the cycle.")] = "cancelled by hand",
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """End a cycle that is under way; the champion stays."""
    with client_of(config, url) as client:
        ended = client.cancel_cycle(project, cycle, reason)
    console.print(f"{ended.id}: {ended.error}", markup=False)


@cycle_app.command("mlflow")
def cycle_mlflow(
    project: ProjectOption, as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None
) -> None:
    """What MLflow is still to be told of cycles and aliases, since when, and what is in the way."""
    with client_of(config, url) as client:
        found = client.mlflow(project)
    if as_json:
        print_json(found)
        return
    if not found.untold:
        console.print("MLflow was told everything.")
        return
    waiting = "cycles wait for it" if found.required else "cycles go on without it"
    console.print(
        f"MLflow is still to be told {found.untold} things, since {found.oldest:%Y-%m-%d %H:%M:%S}; {waiting}."
    )
    for cycle, count in found.cycles.items():
        console.print(f"  {cycle}: {count}", markup=False)
    if found.error:
        console.print(f"in the way: {found.error}", markup=False)


@cycle_app.command("triggers")
def cycle_triggers(
    project: ProjectOption,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="NAME=VALUE, several times; off takes it away: --set reviewed=200 --set drift=yes --set "
            "'schedule=mon,thu 02:30 Europe/Zurich'.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="YAML or JSON, as configs/triggers.yaml; - for the standard input.")
    ] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """What asks for a cycle by itself, and what it waits for now.

    Any trigger asks alone, unless `when` in a file says which have to hold together.
    """
    changes = (triggers_in(file) if file else {}) | dict(_change(one) for one in set_ or [])
    with client_of(config, url) as client:
        found = client.change_triggers(project, **changes) if changes else client.triggers(project)
    if as_json:
        print_json(found)
        return
    table = table_of("trigger", "set to", "now")
    holds = {one.name: one for one in found.conditions}
    for name, value in found.rules.model_dump().items():
        if name != "when":
            state = holds.get(name)
            now = "" if state is None else f"{'yes' if state.holds else 'no'}: {state.said}"
            table.add_row(name, _set_to(value), now)
    print_table(table)
    if found.rules.when is not None:
        from loop.domain.policy.triggers import rules_from_json

        when = rules_from_json({"when": found.rules.when}).when
        console.print(f"together: {when.in_words() if when else ''}", markup=False)
    for reason in found.reasons:
        console.print(f"a cycle is asked for: {reason}", markup=False)
    if found.waiting:
        console.print(f"waiting: {found.waiting}", markup=False)


def _set_to(value: object) -> str:
    if value is None or value is False:
        return "off"
    if isinstance(value, dict):
        from loop.domain.policy.schedule import schedule_from_json

        return schedule_from_json(value).in_words()
    return "on" if value is True else f"{value:g}"


_WORDS: dict[str, bool | None] = {"off": None, "no": False, "yes": True}


def _change(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"--set {text!r} is not NAME=VALUE, for example reviewed=200.")
    if name == "drift":
        return name, value in ("yes", "on", "true")
    if name == "when" and value not in _WORDS:
        raise typer.BadParameter("--set when=off takes it away; which hold together is said in a file (--file).")
    if value in _WORDS:
        return name, _WORDS[value]
    if name == "schedule":
        from loop.domain.policy.schedule import schedule_in

        return name, schedule_in(value)
    try:
        number = float(value)
    except ValueError:
        raise typer.BadParameter(f"--set {text!r}: {value!r} is no number; off takes a trigger away.") from None
    return name, int(number) if number.is_integer() and not name.endswith("hours") else number


def newest_evaluated(cycles: "Sequence[CycleOut]", project: str) -> str:
    for cycle in cycles:
        if cycle.decision:
            return cycle.id
    raise NotFound(f"{project} has no cycle that was evaluated.", hint="Run one: askance cycle run.")


def show_clauses(cycle: "CycleOut") -> None:
    for clause in cycle.decision.get("clauses", []):
        judged = not clause["detail"].startswith("not judged")
        mark = "[red]failed[/]" if not clause["passed"] else "[green]passed[/]" if judged else "[dim]–[/]     "
        console.print(f"  {mark}  {escape(clause['name'])}: {escape(clause['detail'])}")


def _along_a_bar(cycles: "Iterable[CycleOut]") -> "CycleOut":
    """The cycle at its end. Each step begins at 0; when the last is done there is no progress any more, and the bar is
    full."""
    with progress_bar() as bar:
        row = bar.add_task("", total=100)
        for cycle in cycles:
            share = 1.0 if cycle.step == "done" else cycle.progress
            bar.update(row, description=f"{cycle.id} {cycle.step}", completed=round(100 * share))
    return cycle


def _by_lines(cycles: "Iterable[CycleOut]") -> "CycleOut":
    """The cycle at its end. No terminal gets a line as each step begins: of a bar only the end would be left."""
    step = ""
    for cycle in cycles:
        if cycle.step != step:
            step = cycle.step
            console.print(f"{cycle.id} {step}", markup=False)
    return cycle


def _report_cycle(cycle: "CycleOut") -> None:
    if cycle.state == "failed":
        raise CycleFailed(f"{cycle.id} failed: {cycle.error}", hint="Mend the cause and run it again.")
    show_clauses(cycle)
    if check := cycle.evaluation.get("label_check"):
        console.print(
            f"{check['asked']} items with doubtful labels went back to people; {check['held']} were left out."
        )
    outcome = "[bold green]promoted[/]" if cycle.state == "promoted" else "[bold yellow]refused[/]"
    console.print(f"{cycle.candidate_id} was {outcome}")
