"""`askance up` and `askance demo`."""

import logging
import signal
import threading
from typing import Annotated

import typer

from loop.cli.command_line import ConfigOption, app, base_url, console, settings_of


@app.command()
def up(
    config: ConfigOption = None,
    port: Annotated[int | None, typer.Option(help="Instead of server.port.")] = None,
) -> None:
    """Start the service: API and page on one port, until Ctrl-C."""
    settings = settings_of(config, port)
    from serving.app import configure_logging, operator_token, running

    configure_logging()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with console.status("starting Ray, Ray Serve and the models …"):
        service = running(settings, stop.is_set)
        services = service.__enter__()
    try:
        if not stop.is_set():
            url = base_url(settings)
            secret = operator_token(settings, services)
            console.print(f"[bold green]Askance is up[/] at {url}")
            console.print(f"  page   {url}/#token={secret}", soft_wrap=True)
            console.print(f"  token  {settings.data_dir / 'operator.token'} (operator)", soft_wrap=True)
            console.print("  stop   Ctrl-C")
        stop.wait()
        console.print("stopping: requests under way are answered first …")
    finally:
        service.__exit__(None, None, None)


@app.command()
def demo(
    exit_: Annotated[bool, typer.Option("--exit", help="End after the scripted loop.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="End with the table as one JSON object.")] = False,
    seed: Annotated[int, typer.Option(help="Another seed, other scenes.")] = 0,
    port: Annotated[int | None, typer.Option(help="Instead of server.port.")] = None,
    config: ConfigOption = None,
) -> None:
    """The whole loop on made scenes: serve, drift, route, correct, retrain, promote; then stay up."""
    settings = settings_of(config, port)
    from loop.demo.show import show
    from serving.app import configure_logging

    configure_logging(logging.WARNING)
    show(settings, base_url(settings), seed=seed, leave=exit_, as_json=json_)
