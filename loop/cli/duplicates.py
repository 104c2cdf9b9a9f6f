"""`askance duplicates`: images that are nearly the same."""

from typing import Annotated

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

_SHOWN = 20
_NAMED = 3


@app.command("duplicates")
def duplicates(
    project: ProjectOption,
    threshold: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Cosine from which on two are near-duplicates.")
    ] = None,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Clusters of images that the champion sees as nearly the same, the largest first."""
    with client_of(config, url) as client:
        if as_json:
            for page in client.duplicates(project, threshold=threshold, limit=200, members=1000):
                print_json(page.page)
            return
        found = next(client.duplicates(project, threshold=threshold, limit=_SHOWN, members=_NAMED))
    table = table_of("images", "among them")
    for cluster in found.page:
        more = " …" if cluster.size > len(cluster.items) else ""
        table.add_row(str(cluster.size), " ".join(item[:12] for item in cluster.items) + more)
    print_table(table)
    if found.next:
        console.print(f"… and {found.clusters - len(found.page)} more (--json shows all)")
    console.print(
        f"{found.clusters} clusters of near-duplicates (cosine {found.threshold:g} or more); "
        f"{found.spare} of {found.items} images could go."
    )
