"""`askance webhooks`: where events are sent, what became of them, and sending them again."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from loop.cli.command_line import (
    ConfigOption,
    JsonOption,
    UrlOption,
    client_of,
    console,
    print_json,
    print_table,
    table_of,
)
from loop.domain.errors import Unavailable
from loop.domain.outgoing.webhooks import DeliveryState

if TYPE_CHECKING:
    from serving.api.schemas.webhooks import DeliveryDetailOut, WebhookOut

webhooks_app = typer.Typer(no_args_is_help=True, help="Tell other programs what happened, over HTTP.")

Endpoint = Annotated[str, typer.Argument(metavar="ID", help="The endpoint's id.")]
TypeOption = Annotated[
    list[str] | None, typer.Option("--type", "-t", help="Of events, several times; otherwise all (see: types).")
]


@webhooks_app.command("add")
def add(
    address: Annotated[str, typer.Argument(metavar="URL", help="https://…; what events are posted to.")],
    project: Annotated[str | None, typer.Option("--project", "-p", help="Of this project only.")] = None,
    types: TypeOption = None,
    description: Annotated[str, typer.Option(help="For whoever looks at the list.")] = "",
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """A new endpoint; its secret is shown once."""
    with client_of(config, url) as client:
        made = client.create_webhook(address, project=project, types=types or [], description=description)
    console.print(f"{made.id} gets {_what(made)} from now on; its secret, which is not shown again:", soft_wrap=True)
    _print_secret(made.secret)


@webhooks_app.command("list")
def list_(as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None) -> None:
    """All endpoints, oldest first."""
    table = table_of("endpoint", "project", "url", "events", "state", "pending", "dead", "for")
    with client_of(config, url) as client:
        found = client.webhooks()
    if as_json:
        print_json(found)
        return
    for one in found:
        counts = (str(one.pending), str(one.dead))
        table.add_row(one.id, one.project_id or "all", one.url, _what(one), _state(one), *counts, one.description)
    print_table(table)


@webhooks_app.command("types")
def types_(as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None) -> None:
    """What an endpoint can be told of."""
    table = table_of("type", "when")
    with client_of(config, url) as client:
        found = client.event_types()
    if as_json:
        print_json(found)
        return
    for one in found.types:
        table.add_row(one.name, one.says)
    print_table(table)


@webhooks_app.command("change")
def change(
    endpoint: Endpoint,
    address: Annotated[str | None, typer.Option("--to", help="Another URL.")] = None,
    types: TypeOption = None,
    all_types: Annotated[bool, typer.Option("--all-types", help="All events, also types to come.")] = False,
    enable: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Send what waits; or let it wait, and keep nothing new.")
    ] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Another URL or other events; switch it on or off."""
    if types and all_types:
        raise typer.BadParameter("--type and --all-types contradict each other.")
    wanted = {"url": address, "types": [] if all_types else types or None, "enabled": enable}
    changes = {name: value for name, value in wanted.items() if value is not None}
    if not changes:
        raise typer.BadParameter("nothing to change: name --to, --type, --all-types, --enable or --disable.")
    with client_of(config, url) as client:
        changed = client.change_webhook(endpoint, **changes)
    console.print(f"{changed.id} gets {_what(changed)}; {_state(changed)}", markup=False, soft_wrap=True)


@webhooks_app.command("remove")
def remove(endpoint: Endpoint, url: UrlOption = None, config: ConfigOption = None) -> None:
    """With all that is still to be sent to it."""
    with client_of(config, url) as client:
        client.remove_webhook(endpoint)
    console.print(f"{endpoint} is removed")


@webhooks_app.command("rotate")
def rotate(endpoint: Endpoint, url: UrlOption = None, config: ConfigOption = None) -> None:
    """A new secret, shown once; the old one signs too for a day."""
    with client_of(config, url) as client:
        rotated = client.rotate_webhook(endpoint)
    until = max(rotated.secrets_until)
    console.print(
        f"the old secret signs until {_moment(until)}; the new one, which is not shown again:", soft_wrap=True
    )
    _print_secret(rotated.secret)


@webhooks_app.command("test")
def test(endpoint: Endpoint, url: UrlOption = None, config: ConfigOption = None) -> None:
    """Send a ping now, and show what came back."""
    with client_of(config, url) as client:
        answer = client.test_webhook(endpoint)
    if answer.error:
        raise Unavailable(f"the ping did not arrive. {answer.error}", hint="Mend the receiver and test it again.")
    said = f": {answer.said}" if answer.said else ""
    console.print(f"it answered {answer.status} after {answer.milliseconds:.0f} ms{said}", markup=False, soft_wrap=True)


@webhooks_app.command("deliveries")
def deliveries(
    endpoint: Endpoint,
    message: Annotated[str | None, typer.Argument(metavar="MESSAGE", help="Show this one and its attempts.")] = None,
    state: Annotated[DeliveryState | None, typer.Option(help="dead: what was given up.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    as_json: JsonOption = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """What was sent or is to be sent to an endpoint, newest first."""
    with client_of(config, url) as client:
        if message is not None:
            one = client.delivery(endpoint, message)
            print_json(one) if as_json else _show(one)
            return
        page = client.deliveries(endpoint, state=state, limit=limit)
    if as_json:
        print_json(page)
        return
    table = table_of("message", "type", "state", "made", "attempts", "next", "error")
    for delivery in page.deliveries:
        due = _moment(delivery.due_at) if delivery.state is DeliveryState.PENDING else ""
        made, attempts = _moment(delivery.created_at), str(delivery.attempts)
        table.add_row(delivery.message_id, delivery.type, delivery.state, made, attempts, due, delivery.error)
    print_table(table)
    if page.next is not None:
        console.print("… and older ones: --limit shows up to 200, the API all of them")


@webhooks_app.command("replay")
def replay(
    endpoint: Endpoint,
    message: Annotated[str | None, typer.Argument(metavar="MESSAGE", help="This one, whatever became of it.")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All that were given up.")] = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Send again now, under the same id."""
    if (message is None) != dead:
        raise typer.BadParameter("name a MESSAGE, or --dead for all that were given up.")
    with client_of(config, url) as client:
        if message is not None:
            client.replay(endpoint, message)
            console.print(f"{message} is sent again")
        else:
            console.print(f"{client.replay_dead(endpoint)} are sent again")


def _show(delivery: "DeliveryDetailOut") -> None:
    table = table_of("attempt", "at", "status", "ms", "error")
    for one in delivery.tried:
        table.add_row(str(one.number), _moment(one.at), str(one.status or "-"), f"{one.milliseconds:.0f}", one.error)
    console.print(f"{delivery.message_id} is {delivery.state}", markup=False)
    console.print(delivery.body, markup=False, soft_wrap=True)
    print_table(table)


def _what(endpoint: "WebhookOut") -> str:
    return ", ".join(endpoint.types) or "all events"


def _state(endpoint: "WebhookOut") -> str:
    if not endpoint.enabled:
        return f"disabled: {endpoint.why_disabled}"
    return f"failing since {_moment(endpoint.failing_since)}" if endpoint.failing_since else "enabled"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _print_secret(secret: str) -> None:
    """Alone in its line, to be copied."""
    console.print(secret, markup=False, soft_wrap=True)
