"""`askance map`: a project's map of embeddings as a picture, a page or columns."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loop.cli.command_line import ConfigOption, ProjectOption, UrlOption, app, client_of, console
from loop.cli.map_colours import ColourBy
from loop.cli.writing import writing
from loop.domain.errors import Invalid, MapFailed

if TYPE_CHECKING:
    from serving.api.schemas.maps import MapOut


class Kind(StrEnum):
    png = ".png"
    html = ".html"
    arrow = ".arrow"


@app.command("map")
def map_(
    project: ProjectOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="A file: .png, .html (for a browser) or .arrow (columns).")],
    colour: Annotated[ColourBy, typer.Option("--colour", "--color", help="What the points show.")] = ColourBy.risk,
    refit: Annotated[bool, typer.Option("--refit", help="Fit it anew; else what is new is placed on it.")] = False,
    as_is: Annotated[bool, typer.Option("--as-is", help="Take what was drawn last, however old it is.")] = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """What the champion has predicted as a map: what lies close is alike to the model."""
    kind = _kind(out)
    if refit and as_is:
        raise typer.BadParameter("--refit and --as-is contradict each other: give one of them.")
    with client_of(config, url) as client:
        if not as_is:
            client.ask_for_map(project, refit=refit)
            with console.status("drawing the map …"):
                _require_drawn(client.await_map(project))
        status, content = client.map_status(project), client.map(project)
    _save(out, kind, content, colour, status)


def _kind(out: Path) -> Kind:
    """Before anything is drawn for it."""
    try:
        kind = Kind(out.suffix.lower())
    except ValueError:
        raise Invalid(
            f"a map cannot be a {out.suffix or 'file without a suffix'}.", hint=f"One of {', '.join(Kind)}."
        ) from None
    if not out.parent.is_dir():
        raise Invalid(f"there is no folder {out.parent}.", hint="Make it, or name another place.")
    return kind


def _require_drawn(status: "MapOut") -> None:
    """Raises MapFailed where the last try went wrong."""
    if status.error:
        hint = "What was drawn before is there still: --as-is." if status.drawn else ""
        raise MapFailed(status.error, hint=hint)


def _save(out: Path, kind: Kind, content: bytes, colour: ColourBy, status: "MapOut") -> None:
    from selection.map_file import read_map

    table = read_map(content)
    about = {name.decode(): text.decode() for name, text in table.schema.metadata.items()}
    made = about["made_at"][:16].replace("T", " ")
    title = f"{about['project']}: {len(table):,} images as {about['model_id']} sees them, {made} UTC"
    if kind is Kind.arrow:
        with writing("the map", out):
            out.write_bytes(content)
    elif kind is Kind.png:
        from loop.cli.map_png import save_png

        save_png(out, table, colour, title=title)
    else:
        from loop.cli.map_html import save_html

        save_html(out, table, colour, title=title)
    console.print(f"The map is in {out}", markup=False, soft_wrap=True)
    fitted = int(about["fitted"])
    placed = f", the others placed beside the {fitted:,} that were fitted" if fitted < len(table) else ""
    lacks = f"; {status.behind:,} newer predictions are not on it" if status.behind else ""
    console.print(f"  {len(table):,} images of {about['model_id']}{placed}{lacks}", markup=False, soft_wrap=True)
