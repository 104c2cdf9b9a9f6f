"""`askance items` and `askance views`: items by a query, their tags and history, queries that have a name."""

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from loop.cli.command_line import (
    ITEM_HELP,
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
from loop.domain.errors import Invalid

if TYPE_CHECKING:
    from serving.api.schemas.item_data import ListedItemOut

items_app = typer.Typer(no_args_is_help=True, help="Items by a query (docs/items.md), their tags and history.")
app.add_typer(items_app, name="items")
views_app = typer.Typer(no_args_is_help=True, help="Queries that have a name.")
app.add_typer(views_app, name="views")

SortOption = Annotated[
    str | None,
    typer.Option("--sort", help="created_at, captured_at, risk, width or height; -FIELD: the largest first."),
]
QueryOption = Annotated[str | None, typer.Option("--query", "-q", help="Such as 'risk > 0.5 and missing truth'.")]
NameArgument = Annotated[str, typer.Argument(metavar="VIEW", help="Its name.")]


@items_app.command("list")
def items_list(
    project: ProjectOption,
    query: QueryOption = None,
    sort: SortOption = None,
    view: Annotated[str | None, typer.Option(help="The query and sort of this view.")] = None,
    after: Annotated[str | None, typer.Option(help="Go on behind this; the list before says what.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    count: Annotated[bool, typer.Option("--count", help="Also how many there are, up to 10,000.")] = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Newest first, or as sorted."""
    if view is not None and query is not None:
        raise Invalid("both --view and --query are given.", hint="Give one of them.")
    table = table_of("item", "created", "source", "size", "risk", "decision", "truth", "work", "tags")
    with client_of(config, url) as client:
        if view is not None:
            saved = client.view(project, view)
            query, sort = saved.query, sort or saved.sort
        page = client.items(project, query or "", sort=sort, after=after, limit=limit, count=count)
    if as_json:
        print_json(page)
        return
    for one in page.items:
        table.add_row(*_row(one))
    print_table(table)
    if page.count is not None:
        console.print(f"{'more than ' if page.more else ''}{page.count} in all", markup=False)
    if page.next is not None:
        console.print(f"… and more: --after '{page.next}'", markup=False, soft_wrap=True)


@items_app.command("tag")
def items_tag(
    project: ProjectOption,
    query: QueryOption = None,
    item: Annotated[list[str] | None, typer.Option(help=f"One. {ITEM_HELP} May be given several times.")] = None,
    add: Annotated[list[str] | None, typer.Option(help="A tag; may be given several times.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="The same.")] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Add and remove tags, of items by their digests or of all that meet a query."""
    _require_one_way(query, item)
    with client_of(config, url) as client:
        tagged = client.tag_items(project, add=add or (), remove=remove or (), items=item or None, query=query)
    console.print(_counted(tagged), markup=False)


@items_app.command("set")
def items_set(
    project: ProjectOption,
    pairs: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE", help="What is said from now on.")] = None,
    query: QueryOption = None,
    item: Annotated[list[str] | None, typer.Option(help=f"One. {ITEM_HELP} May be given several times.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="A key to remove; may be given several times.")] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Change the metadata of items by their digests or of all that meet a query; others of their keys stay."""
    _require_one_way(query, item)
    meta = dict(map(_pair, pairs or ())) | dict.fromkeys(remove or ())
    if not meta:
        raise Invalid("there is nothing to change.", hint="Give KEY=VALUE, or --remove KEY.")
    with client_of(config, url) as client:
        changed = client.describe_items(project, meta, items=item or None, query=query)
    console.print(f"{_counted(changed)} changed", markup=False)


@items_app.command("ask")
def items_ask(
    project: ProjectOption,
    reason: Annotated[str, typer.Option(help="Why; reviewers read it where an item is asked for the first time.")],
    query: QueryOption = None,
    item: Annotated[list[str] | None, typer.Option(help=f"One. {ITEM_HELP} May be given several times.")] = None,
    most: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Look at so many that meet the query at most, the newest first.")
    ] = 1000,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Ask people for items: for the first time, or again. Those that they are asked for already stay as they are."""
    _require_one_way(query, item)
    with client_of(config, url) as client:
        asked = client.ask_for(project, reason, items=item or None, query=query, most=None if query is None else most)
    if as_json:
        print_json(asked)
        return
    console.print(f"people are asked for {_counted(len(asked.items))}", markup=False)
    for why, count in Counter(one.why for one in asked.left).items():
        console.print(f"  not for {_counted(count)}: {why}", markup=False)
    if asked.next is not None:
        console.print(f"… and there are more that meet the query (--most is {most})", markup=False)


@items_app.command("history")
def items_history(
    item: Annotated[str, typer.Argument(metavar="ITEM", help=ITEM_HELP)],
    project: ProjectOption,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """What happened to an item, oldest first."""
    table = table_of("at", "what", "id", "by", "more")
    with client_of(config, url) as client:
        found = client.item_history(project, item)
    if as_json:
        print_json(found)
        return
    for entry in found.entries:
        more = json.dumps(entry.body, ensure_ascii=False)
        table.add_row(entry.at.isoformat(timespec="seconds"), entry.kind, entry.id, entry.actor, more)
    print_table(table)


@items_app.command("drop")
def items_drop(
    item: Annotated[str, typer.Argument(metavar="ITEM", help=ITEM_HELP)],
    project: ProjectOption,
    reason: Annotated[str, typer.Option(help="Why it is to be gone, for the history.")],
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Keep an image no more: its bytes are removed, its truth counts no more, and the same image is refused."""
    with client_of(config, url) as client:
        client.drop_item(project, item, reason)
    console.print(f"{item} is dropped, and its image gone", markup=False, soft_wrap=True)


@views_app.command("list")
def views_list(
    project: ProjectOption, as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None
) -> None:
    table = table_of("view", "query", "sort", "by")
    with client_of(config, url) as client:
        found = client.views(project)
    if as_json:
        print_json(found)
        return
    for view in found:
        table.add_row(view.name, view.query, view.sort, view.actor)
    print_table(table)


@views_app.command("save")
def views_save(
    name: NameArgument,
    project: ProjectOption,
    query: Annotated[str, typer.Option("--query", "-q", help="What it shows.")],
    sort: SortOption = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Over one of this name."""
    with client_of(config, url) as client:
        view = client.save_view(project, name, query, sort)
    console.print(f"{view.name}: {view.query or 'all'}, by {view.sort}", markup=False)


@views_app.command("remove")
def views_remove(
    name: NameArgument, project: ProjectOption, url: UrlOption = None, config: ConfigOption = None
) -> None:
    with client_of(config, url) as client:
        client.remove_view(project, name)
    console.print(f"{name} is gone", markup=False)


def _require_one_way(query: str | None, item: list[str] | None) -> None:
    if (query is None) == (not item):
        raise Invalid("say which items.", hint="Give --query, or --item one or more times.")


def _pair(text: str) -> tuple[str, str | None]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise Invalid(f"{text!r} is not KEY=VALUE.", hint="For example weather=rain; --remove KEY takes one away.")
    return key, value


def _counted(items: int) -> str:
    return f"{items} item{'' if items == 1 else 's'}"


def _row(item: "ListedItemOut") -> tuple[str, ...]:
    return (
        item.digest,
        "" if item.created_at is None else item.created_at.isoformat(timespec="minutes"),
        item.source,
        f"{item.width}×{item.height}",
        "" if item.risk is None else f"{item.risk:.3f}",
        item.decision or "",
        "" if not item.truth_version else str(item.truth_version),
        item.work or "",
        ", ".join(item.tags),
    )
