"""`askance label-errors`: ground truth that is probably wrong."""

from typing import TYPE_CHECKING, Annotated

import typer

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
    table_of,
)

if TYPE_CHECKING:
    from serving.api.schemas.label_errors import DoubtOut


@app.command("label-errors")
def label_errors(
    project: ProjectOption,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most doubtful items.")] = 20,
    most: Annotated[
        int | None, typer.Option(min=1, help="Look at so many items only, as good as drawn; otherwise at all.")
    ] = None,
    review: Annotated[bool, typer.Option("--review", help="Ask people for these items again.")] = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Items whose ground truth a model doubts that was not trained on it, the most doubtful first."""
    with client_of(config, url) as client:
        found = client.label_errors(project, limit, most=most)
        asked = client.ask_again(project, [one.item_digest for one in found.items]) if review and found.items else None
    if as_json:
        print_json(found)
        return
    table = table_of("item", "score", "split", "doubts")
    for one in found.items:
        worst = "; ".join(_said(doubt) for doubt in one.doubts[:3])
        table.add_row(one.item_digest[:12], f"{one.score:.2f}", one.split or "-", worst)
    print_table(table)
    if found.more:
        console.print(f"{found.compared + found.unseen} of {found.total} items with truth were looked at (--most).")
    console.print(f"{found.compared} items compared; {found.unseen} have no prediction that could speak of them.")
    if found.unseen and not found.compared:
        console.print("Predict them with a model that was not trained on them: askance annotate.")
    if asked is not None:
        console.print(f"{len(asked.items)} items are asked for again.")
        for left in asked.left:
            console.print(f"  not {left.item_digest[:12]}: {left.why}", markup=False)


def _said(doubt: "DoubtOut") -> str:
    found = doubt.detection
    seen = "nothing" if found is None else f"{found.label} {found.score:.2f}"
    return f"{doubt.flaw}: {doubt.shape.label if doubt.shape else 'no box'}, model says {seen} ({doubt.score:.2f})"
