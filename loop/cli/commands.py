"""What `askance` can be told to do."""

import logging
import os
import signal
import threading
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from loop.domain.access import Role
from loop.domain.errors import CycleFailed, Unauthenticated
from loop.settings import Settings, load_settings

if TYPE_CHECKING:
    from serving.api.schemas import CycleOut, PromotionOut
    from serving.client import Client

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Object detection that knows what it is unsure of: serves, routes to people, retrains.",
)
models_app = typer.Typer(no_args_is_help=True, help="Model versions of a project, and which one serves.")
cycle_app = typer.Typer(no_args_is_help=True, help="Retraining: snapshot, train, evaluate, gate, promote.")
token_app = typer.Typer(no_args_is_help=True, help="Who may call: producers, reviewers, operators.")
project_app = typer.Typer(no_args_is_help=True, help="Detection problems.")
for name, group in (("models", models_app), ("cycle", cycle_app), ("token", token_app), ("project", project_app)):
    app.add_typer(group, name=name)

console = Console(highlight=False)

ProjectOption = Annotated[str, typer.Option("--project", "-p", help="The project's id.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings that differ from configs/default.yaml.")]
UrlOption = Annotated[str | None, typer.Option("--url", envvar="ASKANCE_URL", help="The running service.")]


class ImportFormat(StrEnum):
    voc = "voc"
    coco = "coco"
    yolo = "yolo"


class ExportFormat(StrEnum):
    coco = "coco"
    yolo = "yolo"


# --- the service ---------------------------------------------------------------------------------


@app.command()
def up(
    config: ConfigOption = None,
    port: Annotated[int | None, typer.Option(help="Instead of server.port.")] = None,
) -> None:
    """Start the service: API and page on one port, until Ctrl-C."""
    settings = _settings(config, port)
    from serving.app import configure_logging, operator_token, running

    configure_logging()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with console.status("starting Ray, Ray Serve and the models …"):
        service = running(settings)
        services = service.__enter__()
    try:
        url = _base_url(settings)
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
    settings = _settings(config, port)
    from loop.demo.show import show
    from serving.app import configure_logging

    configure_logging(logging.WARNING)
    show(settings, _base_url(settings), seed=seed, leave=exit_, as_json=json_)


# --- data ------------------------------------------------------------------------------------------


@app.command("import")
def import_(
    folder: Annotated[Path, typer.Argument(help="The data set's folder.")],
    format_: Annotated[ImportFormat, typer.Option("--format", "-f", help="How it is laid out.")],
    project: ProjectOption,
    split: Annotated[str | None, typer.Option(help="train, val or golden for all images.")] = None,
    add_labels: Annotated[bool, typer.Option(help="Add labels that the project does not have.")] = False,
    config: ConfigOption = None,
) -> None:
    """Images and their ground truth into a project; importing again changes nothing."""
    from loop.exchange.importer import import_dataset
    from loop.wiring import administer, open_blobs, open_store, utc_now
    from serving.images import inspect_image

    settings = _settings(config)
    store, blobs = open_store(settings), open_blobs(settings)
    with _progress() as bar:
        report = import_dataset(
            store,
            blobs,
            administer(settings, store, blobs),
            project_id=project,
            format=format_.value,
            folder=folder,
            split=split,
            add_labels=add_labels,
            inspect_image=lambda content: inspect_image(content, max_pixels=settings.limits.max_image_pixels),
            clock=utc_now,
            on_progress=_tracker(bar, f"importing {folder.name}"),
        )
    console.print(report)


@app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    format_: Annotated[ExportFormat, typer.Option("--format", "-f")],
    project: ProjectOption,
    config: ConfigOption = None,
) -> None:
    """A project's images and present ground truth as a data set."""
    from loop.exchange.exporter import export_dataset
    from loop.wiring import open_blobs, open_store

    settings = _settings(config)
    with _progress() as bar:
        report = export_dataset(
            open_store(settings),
            open_blobs(settings),
            project_id=project,
            format=format_.value,
            folder=folder,
            on_progress=_tracker(bar, f"exporting {project}"),
        )
    console.print(report)


# --- projects and tokens -------------------------------------------------------------------------------


@project_app.command("create")
def project_create(
    project: Annotated[str, typer.Argument(help="1 to 63 lower-case letters, digits and dashes.")],
    labels: Annotated[str, typer.Option(help="Comma-separated: car,person,bicycle")],
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """A project without data or model."""
    with _client(config, url) as client:
        created = client.create_project(project, [label.strip() for label in labels.split(",")])
    console.print(f"created {created.id} with {len(created.recipe.labels)} labels")


@project_app.command("list")
def project_list(url: UrlOption = None, config: ConfigOption = None) -> None:
    """All projects."""
    table = _table("project", "labels", "champion", "predictions", "routed", "open tasks")
    with _client(config, url) as client:
        for project in client.projects():
            figures = client.summary(project.id)
            labels = ", ".join(label.name for label in project.recipe.labels[:8])
            counts = (figures.predictions, figures.routed, figures.tasks.get("open", 0))  # type: ignore[call-overload]
            table.add_row(project.id, labels, project.champion_id or "-", *map(str, counts))
    console.print(table)


@token_app.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="Whose it is.")],
    role: Annotated[Role, typer.Option(help="What they may do.")],
    project: Annotated[str | None, typer.Option("--project", "-p", help="For this project only.")] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """A new token; its secret is shown once."""
    with _client(config, url) as client:
        token = client.create_token(name, role, project)
    console.print(token.secret)


# --- models ------------------------------------------------------------------------------------------


@models_app.command("list")
def models_list(project: ProjectOption, url: UrlOption = None, config: ConfigOption = None) -> None:
    """Versions, newest first; * serves."""
    table = _table("", "model", "digest", "from", "labels", "made")
    with _client(config, url) as client:
        for model in client.models(project).models:
            mark = "*" if model.champion else ""
            made = f"{model.created_at:%Y-%m-%d %H:%M:%S}"
            table.add_row(mark, model.id, model.digest[:12], model.origin, str(len(model.labels)), made)
    console.print(table)


@models_app.command("add")
def models_add(
    weights: Annotated[str, typer.Argument(help="yolo11n.pt, a torchvision .pth, or a .safetensors of Askance.")],
    project: ProjectOption,
    labels: Annotated[str | None, typer.Option(help="Comma-separated, where the file does not name them.")] = None,
    builder: Annotated[str | None, typer.Option(help="torchvision builder, e.g. retinanet_resnet50_fpn.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of the network's input, pixels.")] = None,
    download: Annotated[bool, typer.Option(help="Let ultralytics fetch a file that is not here.")] = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Bring your own weights; a new project is made of a model's labels, and its first model serves at once."""
    from training.head import read_head
    from training.weights import adopt

    names = tuple(label.strip() for label in labels.split(",")) if labels else None
    content = adopt(weights, labels=names, image_size=image_size, builder=builder, download=download)
    head = read_head(content)
    with _client(config, url) as client:
        if project not in {known.id for known in client.projects()}:
            client.create_project(project, head.labels)
            console.print(f"created the project {project} with the model's {len(head.labels)} labels")
        model = client.add_model(project, content)
        console.print(f"added {model.id} ({model.digest[:12]})")
        first = next((p for p in client.models(project).promotions if p.model_id == model.id), None)
        if first is not None:
            _report(client.await_promotion(project, first.id))


@models_app.command("promote")
def models_promote(
    model: Annotated[str, typer.Argument(help="The version's id.")],
    project: ProjectOption,
    reason: Annotated[str, typer.Option(help="Kept with your name: you override the gate.")],
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a version champion by hand."""
    with _client(config, url) as client:
        _report(client.await_promotion(project, client.promote(project, model, reason).id))


@models_app.command("rollback")
def models_rollback(
    project: ProjectOption,
    reason: Annotated[str, typer.Option()] = "rolled back by hand",
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Back to the champion before the present one."""
    with _client(config, url) as client:
        _report(client.await_promotion(project, client.rollback(project, reason).id))


def _report(promotion: "PromotionOut") -> None:
    if promotion.state == "failed":
        raise CycleFailed(f"{promotion.model_id} does not serve: {promotion.error}", hint="The champion stays.")
    console.print(f"[bold green]{promotion.model_id} serves[/] ({promotion.kind})")


# --- cycles ------------------------------------------------------------------------------------------


@cycle_app.command("run")
def cycle_run(
    project: ProjectOption,
    reason: Annotated[str, typer.Option(help="Kept with the cycle.")] = "asked for",
    epochs: Annotated[int | None, typer.Option(min=1)] = None,
    mode: Annotated[str | None, typer.Option(help="superior or non_inferior.")] = None,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Retrain on the present ground truth and promote what the gate lets through."""
    from pydantic import ValidationError

    from serving.api.schemas import CycleIn

    try:
        wish = CycleIn.model_validate({"reason": reason, "epochs": epochs, "mode": mode})
    except ValidationError as error:
        raise typer.BadParameter("; ".join(e["msg"] for e in error.errors())) from None
    with _client(config, url) as client, _progress() as bar:
        started = client.start_cycle(project, wish)
        row = bar.add_task(started.id, total=100)
        for cycle in client.follow_cycle(project, started.id):
            bar.update(row, description=f"{cycle.id} {cycle.step}", completed=round(100 * cycle.progress))
            finished = cycle
    _report_cycle(finished)


@cycle_app.command("list")
def cycle_list(project: ProjectOption, url: UrlOption = None, config: ConfigOption = None) -> None:
    """The newest cycles."""
    table = _table("cycle", "state", "step", "by", "reason", "candidate", "error")
    with _client(config, url) as client:
        for c in client.cycles(project).cycles:
            table.add_row(c.id, c.state, c.step, c.actor, c.reason, c.candidate_id or "-", c.error)
    console.print(table)


def _report_cycle(cycle: "CycleOut") -> None:
    if cycle.state == "failed":
        raise CycleFailed(f"{cycle.id} failed: {cycle.error}", hint="Mend the cause and run it again.")
    for clause in cycle.decision.get("clauses", []):
        mark = "[green]passed[/]" if clause["passed"] else "[red]failed[/]"
        console.print(f"  {mark}  {clause['name']}: {clause['detail']}")
    outcome = "[bold green]promoted[/]" if cycle.state == "promoted" else "[bold yellow]refused[/]"
    console.print(f"{cycle.candidate_id} was {outcome}")


# --- shared -----------------------------------------------------------------------------------------


def _settings(config: Path | None, port: int | None = None) -> Settings:
    environ = dict(os.environ)
    if port is not None:
        environ["ASKANCE_SERVER__PORT"] = str(port)
    return load_settings(config, environ)


def _base_url(settings: Settings) -> str:
    host = "127.0.0.1" if settings.server.host in ("0.0.0.0", "::") else settings.server.host  # noqa: S104 - compared
    return f"http://{host}:{settings.server.port}"


def _client(config: Path | None, url: str | None) -> "Client":
    """A client with the token of ASKANCE_TOKEN, or that of the service on this machine."""
    from serving.client import Client

    settings = _settings(config)
    secret = os.environ.get("ASKANCE_TOKEN", "")
    path = settings.data_dir / "operator.token"
    if not secret and path.is_file():
        secret = path.read_text().strip()
    if not secret:
        raise Unauthenticated(
            f"there is no token: neither ASKANCE_TOKEN nor {path}.",
            hint="Start the service in this folder (askance up), or set ASKANCE_TOKEN and ASKANCE_URL.",
        )
    return Client(url or _base_url(settings), secret)


def _table(*columns: str) -> Table:
    """Ids are there to be copied: a narrow terminal folds them, never cuts them."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _progress() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=console)


def _tracker(bar: Progress, description: str) -> Callable[[int, int], None]:
    row = bar.add_task(description, total=None)
    return lambda done, total: bar.update(row, completed=done, total=total)
