"""`askance select` and `askance risk`: what deserves a person."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loop.cli.command_line import (
    ITEM_HELP,
    ConfigOption,
    FilterOption,
    JsonOption,
    ProjectOption,
    UrlOption,
    app,
    client_of,
    console,
    print_json,
    print_table,
    table_of,
)
from loop.domain.errors import NotFound

if TYPE_CHECKING:
    from serving.api.schemas.selections import RiskOut, SelectionOut

# Those of selection.strategies.table, which takes its time to import; a test compares.
_STRATEGIES = (
    "balanced-herding, uncertainty-herding, hybrid, herding, typiclust, core-set, entropy, mean-entropy, max-entropy, "
    "sum-entropy, mean-class-entropy, max-class-entropy, "
    "least-confidence, mean-least-confidence, sum-least-confidence, margin, mean-margin, sum-margin, rarity, "
    "consistency, entropy-enms, mean-entropy-enms, mean-least-confidence-enms, sum-least-confidence-enms, "
    "mean-margin-enms, sum-margin-enms, "
    "ppal, anomaly, random"
)

risk_app = typer.Typer(no_args_is_help=True, help="How well it is known which predictions are wrong.")
app.add_typer(risk_app, name="risk")


@app.command("select")
def select(
    project: ProjectOption,
    budget: Annotated[int, typer.Option("--budget", "-b", min=1, help="How many images people can look at.")],
    strategy: Annotated[
        str | None,
        typer.Option(
            "--strategy",
            "-s",
            help=f"A name, or parts: hybrid=60,anomaly=20,random=20. There are: {_STRATEGIES}.",
        ),
    ] = None,
    filter_: FilterOption = None,
    query: Annotated[str, typer.Option(help="Items that may be chosen, as of askance items list: width > 600.")] = "",
    like: Annotated[list[str] | None, typer.Option("--like", help=f"An item to resemble. {ITEM_HELP}")] = None,
    like_box: Annotated[
        list[str] | None, typer.Option("--like-box", help="ITEM:NUMBER, a detection to resemble; numbered from 0.")
    ] = None,
    failures: Annotated[int, typer.Option(min=0, help="Resemble so many of the newest corrected items.")] = 0,
    ambiguous: Annotated[int, typer.Option(min=0, help="Resemble so many of the most ambiguous items.")] = 0,
    random_share: Annotated[
        float | None, typer.Option("--random", min=0.0, max=1.0, help="The least share that is drawn at random.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The same gives the same picks.")] = None,
    no_duplicates: Annotated[
        bool, typer.Option("--no-duplicates", help="Of near-duplicates one at most, and none of what is labelled.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the picks, make no tasks.")] = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Choose the unlabelled images that deserve a person most, and queue them for review."""
    from pydantic import ValidationError

    from selection.choosing import parts_of
    from serving.api.schemas.selections import SelectionIn

    try:
        wish = SelectionIn(
            budget=budget,
            strategies=parts_of(strategy or ""),
            filter=dict(_condition(one) for one in filter_ or []),
            query=query,
            like=like or [],
            like_boxes=like_box or [],
            failures=failures,
            ambiguous=ambiguous,
            random_share=random_share,
            seed=seed,
            no_duplicates=no_duplicates,
            dry_run=dry_run,
        )
    except ValidationError as error:
        raise typer.BadParameter("; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())) from None
    with client_of(config, url) as client:
        selected = client.select(project, wish)
    if as_json:
        print_json(selected)
        return
    _report_selection(selected)


def _condition(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"--filter {text!r} is not NAME=VALUE, for example source=camera-3.")
    return name, value


@risk_app.command("report")
def risk_report(
    project: ProjectOption,
    plot: Annotated[Path | None, typer.Option(help="Save the reliability plot here (.png, .svg or .pdf).")] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """How well the champion's risk tells which predictions people correct."""
    with client_of(config, url) as client:
        status = client.risk(project)
    if as_json:
        print_json(status)
        return
    table = table_of(
        "risk", "measured on", "reviews", "corrected", "failure rate", "AUROC", "Brier", "of the rate alone"
    )
    measured = [("as routed", "all reviews", status.routed_by)]
    if status.learned is not None:
        measured += [
            ("learned", "reviews held out", status.learned.quality),
            ("learned", "audits held out", status.learned.audits),
        ]
    for risk, where, quality in measured:
        if quality is not None:
            auroc = "" if quality.auroc is None else f"{quality.auroc:.3f}"
            figures = (f"{quality.failure_rate:.3f}", auroc, f"{quality.brier:.3f}", f"{quality.base:.3f}")
            table.add_row(risk, where, str(quality.reviews), str(quality.failures), *figures)
    print_table(table)
    if status.why:
        console.print(f"Nothing is learned yet: {status.why}", markup=False)
    if plot is not None:
        _plot_reliability(status, plot)
        console.print(f"The reliability plot is in {plot}", markup=False)


def _plot_reliability(status: "RiskOut", path: Path) -> None:
    quality = status.learned.quality if status.learned else status.routed_by
    if quality is None:
        raise NotFound("there is no review yet, so there is nothing to plot.", hint="Review some predictions first.")
    from loop.cli.reliability import save_plot

    save_plot(path, quality.reliability, title=f"{status.model_id}: {quality.reviews} reviews")


_PICKS_SHOWN = 20


def _report_selection(selected: "SelectionOut") -> None:
    table = table_of("rank", "item", "strategy", "why")
    for pick in selected.picks[:_PICKS_SHOWN]:
        table.add_row(str(pick.rank), pick.item_digest[:12], pick.strategy, pick.reason)
    print_table(table)
    if selected.picked > _PICKS_SHOWN:
        console.print(f"… and {selected.picked - _PICKS_SHOWN} more (--json shows all)")
    for note in selected.notes:
        console.print(note, markup=False)
    mix = ", ".join(f"{share:.0%} {name}" for name, share in selected.mix.items())
    if selected.dry_run:
        console.print(f"A dry run: {selected.picked} of {selected.pool} would be queued ({mix}; seed {selected.seed}).")
    else:
        console.print(
            f"{selected.picked} of {selected.pool} are queued for review ({mix}): {selected.id}", soft_wrap=True
        )
