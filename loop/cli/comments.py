"""`askance comments`: what people say of items, and answers to it."""

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
from loop.domain.review.comments import CommentKind, CommentState

if TYPE_CHECKING:
    from serving.api.schemas.comments import CommentOut

comments_app = typer.Typer(no_args_is_help=True, help="Comments, issues and questions on items.")
app.add_typer(comments_app, name="comments")

CommentArgument = Annotated[str, typer.Argument(metavar="COMMENT", help="Its id (askance comments list).")]


@comments_app.command("list")
def comments_list(
    project: ProjectOption,
    state: Annotated[CommentState | None, typer.Option(help="Those only.")] = None,
    kind: Annotated[CommentKind | None, typer.Option(help="Those only.")] = None,
    item: Annotated[str | None, typer.Option(help=f"Those on this item only. {ITEM_HELP}")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """The newest first; of one item the oldest first."""
    table = table_of("id", "kind", "state", "by", "item", "text")
    with client_of(config, url) as client:
        found = client.comments(project, state=state, kind=kind, limit=limit) if item is None else None
        shown = found.comments if found else client.comments_of(project, str(item))
    shown = [one for one in shown if state in (None, one.state) and kind in (None, one.kind)]
    if as_json:
        print_json(shown)
        return
    for one in shown:
        table.add_row(one.id, one.kind, one.state, one.author, one.item_digest[:12], _said(one))
    print_table(table)
    if found and found.next:
        console.print("… and older ones (--limit)")


@comments_app.command("reply")
def comments_reply(
    comment: CommentArgument,
    text: Annotated[str, typer.Argument(help="What to say.")],
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Answer a comment; who wrote it sees the answer."""
    with client_of(config, url) as client:
        _tell(client.reply_to_comment(comment, text))


@comments_app.command("resolve")
def comments_resolve(comment: CommentArgument, url: UrlOption = None, config: ConfigOption = None) -> None:
    """Say that it is settled."""
    with client_of(config, url) as client:
        _tell(client.resolve_comment(comment))


@comments_app.command("reopen")
def comments_reopen(comment: CommentArgument, url: UrlOption = None, config: ConfigOption = None) -> None:
    """Say that it is not settled after all."""
    with client_of(config, url) as client:
        _tell(client.reopen_comment(comment))


def _said(comment: "CommentOut") -> str:
    return "\n".join([comment.text, *(f"  {reply.author}: {reply.text}" for reply in comment.replies)])


def _tell(comment: "CommentOut") -> None:
    console.print(f"{comment.id} is {comment.state}; replies: {len(comment.replies)}", markup=False)
