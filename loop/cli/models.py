"""`askance models`: versions, and which one serves."""

from collections.abc import Mapping
from pathlib import Path
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
from loop.domain.errors import CycleFailed, Invalid, NotFound, Unavailable
from loop.domain.rollouts.canary import OnPass
from loop.domain.rollouts.rollout import RolloutKind, RolloutState

if TYPE_CHECKING:
    from serving.api.schemas.models import ModelsOut, PromotionOut, RolloutOut

models_app = typer.Typer(no_args_is_help=True, help="Model versions of a project, and which one serves.")
app.add_typer(models_app, name="models")


@models_app.command("list")
def models_list(
    project: ProjectOption, as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None
) -> None:
    """Versions, newest first; * serves, a canary or shadow takes the share that is named."""
    table = table_of("", "model", "digest", "from", "labels", "made", "options")
    with client_of(config, url) as client:
        found = client.models(project)
    if as_json:
        print_json(found)
        return
    beside = _beside(found)
    for model in found.models:
        mark = "*" if model.champion else beside.get(model.id, "")
        made = f"{model.created_at:%Y-%m-%d %H:%M:%S}"
        options = " ".join(f"{key}={value}" for key, value in model.serving.items())
        table.add_row(mark, model.id, model.digest[:12], model.origin, str(len(model.labels)), made, options)
    print_table(table)


def _beside(found: "ModelsOut") -> dict[str, str]:
    """What runs beside the champion, by model."""
    marks: dict[str, list[str]] = {}
    for rollout in found.rollouts:
        if not rollout.state.finished:
            waiting = " (queued)" if rollout.state is RolloutState.QUEUED else ""
            marks.setdefault(rollout.model_id, []).append(f"{rollout.kind} {rollout.share:.0%}{waiting}")
    return {model: ", ".join(sorted(several)) for model, several in marks.items()}


@models_app.command("status")
def models_status(
    project: ProjectOption, as_json: JsonOption = False, url: UrlOption = None, config: ConfigOption = None
) -> None:
    """What was promoted, and what runs or ran beside the champion, with the reasons; newest first."""
    table = table_of("what", "model", "state", "share", "by", "reason", "outcome", "asked")
    with client_of(config, url) as client:
        found = client.models(project)
    if as_json:
        print_json(found)
        return
    promotions = [(p.created_at, p.kind, p.model_id, p.state, "", p.actor, p.reason, p.error) for p in found.promotions]
    rollouts = [
        (r.created_at, r.kind, r.model_id, r.state, f"{r.share:.0%}", r.actor, r.reason, r.error or _so_far(r))
        for r in found.rollouts
    ]
    for at, *columns in sorted([*promotions, *rollouts], key=lambda row: row[0], reverse=True):
        table.add_row(*(str(column).replace("_", " ") for column in columns), f"{at:%Y-%m-%d %H:%M:%S}")
    print_table(table)


def _so_far(rollout: "RolloutOut") -> str:
    return "" if rollout.standing is None else rollout.standing.words


@models_app.command("add")
def models_add(
    weights: Annotated[str, typer.Argument(help="yolo11n.pt, a torchvision .pth, or a .safetensors of Askance.")],
    project: ProjectOption,
    labels: Annotated[str | None, typer.Option(help="Comma-separated, where the file does not name them.")] = None,
    builder: Annotated[str | None, typer.Option(help="torchvision builder, e.g. retinanet_resnet50_fpn.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of the network's input, pixels.")] = None,
    download: Annotated[bool, typer.Option(help="Let ultralytics fetch a file that is not here.")] = False,
    base: Annotated[bool, typer.Option("--base", help="Only for the first training to start from.")] = False,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Bring your own weights; a new project is made of a model's labels, and its first model serves at once."""
    from training.head import read_head
    from training.weights import adopt

    names = tuple(label.strip() for label in labels.split(",")) if labels else None
    content = adopt(weights, labels=names, image_size=image_size, builder=builder, download=download)
    head = read_head(content)
    with client_of(config, url) as client:
        if not base and project not in {known.id for known in client.projects()}:
            client.create_project(project, head.labels)
            console.print(f"created the project {project} with the model's {len(head.labels)} labels")
        model = client.add_model(project, content, base=base)
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
    with client_of(config, url) as client:
        _report(client.await_promotion(project, client.promote(project, model, reason).id))


@models_app.command("rollback")
def models_rollback(
    project: ProjectOption,
    reason: Annotated[str, typer.Option()] = "rolled back by hand",
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Back to the champion before the present one."""
    with client_of(config, url) as client:
        _report(client.await_promotion(project, client.rollback(project, reason).id))


@models_app.command("canary")
def models_canary(
    model: Annotated[str, typer.Argument(help="The version's id.")],
    project: ProjectOption,
    share: Annotated[float, typer.Option(help="Of the predictions, above 0 and at most 1.")],
    reason: Annotated[str, typer.Option(help="Kept with your name.")] = "asked for",
    margin: Annotated[float | None, typer.Option(help="How much more often it may fail and still pass.")] = None,
    hours: Annotated[float | None, typer.Option(help="After which it ends undecided.")] = None,
    promote: Annotated[
        bool | None, typer.Option("--promote/--tell", help="When it has passed: promote it in your name, or tell.")
    ] = None,
    judged: Annotated[bool, typer.Option("--judged/--unjudged", help="By what people answer.")] = True,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Let a share of the callers get this version's answers; it is taken back when it errs, is slow, or people find it
    worse than the champion. `askance models standing` says how far that is."""
    on_pass = None if promote is None else OnPass.PROMOTE if promote else OnPass.TELL
    given = {"margin": margin, "max_hours": hours, "on_pass": on_pass}
    rules = {name: value for name, value in given.items() if value is not None}
    if rules and not judged:
        raise Invalid("rules for what is not judged.", hint="Leave out --unjudged, or the rules.")
    judging = (rules or None) if judged else False
    _roll_out(RolloutKind.CANARY, model, project, share, reason, url, config, judging)


@models_app.command("shadow")
def models_shadow(
    model: Annotated[str, typer.Argument(help="The version's id.")],
    project: ProjectOption,
    share: Annotated[float, typer.Option(help="Of the predictions, above 0 and at most 1.")] = 1.0,
    reason: Annotated[str, typer.Option(help="Kept with your name.")] = "asked for",
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Let this version see a share of the traffic; callers get the champion's answers."""
    _roll_out(RolloutKind.SHADOW, model, project, share, reason, url, config)


def _roll_out(
    kind: RolloutKind,
    model: str,
    project: str,
    share: float,
    reason: str,
    url: str | None,
    config: Path | None,
    judging: Mapping[str, object] | bool | None = None,
) -> None:
    with client_of(config, url) as client:
        asked = client.start_rollout(project, model, kind=kind, share=share, reason=reason, judging=judging)
        rollout = client.await_rollout(project, asked.id)
    if rollout.state is not RolloutState.ACTIVE:
        raise Unavailable(f"{model} does not run as a {kind}: {rollout.error}", hint="The champion answers alone.")
    console.print(f"[bold green]{model} runs[/] as a {kind} for {rollout.share:.0%} of the predictions")


@models_app.command("end")
def models_end(
    kind: Annotated[RolloutKind, typer.Argument(help="Which of the two.")],
    project: ProjectOption,
    reason: Annotated[str, typer.Option(help="Kept with your name.")] = "ended by hand",
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """End the canary or the shadow: the champion answers alone."""
    with client_of(config, url) as client:
        running = next((r for r in client.rollouts(project) if r.kind == kind and not r.state.finished), None)
        if running is None:
            raise NotFound(f"{project} has no {kind}.", hint="See: askance models status.", project=project)
        ended = client.end_rollout(project, running.id, reason)
    console.print(f"the {kind} of {ended.model_id} has ended")


@models_app.command("configure")
def models_configure(
    model: Annotated[str, typer.Argument(help="The version's id.")],
    options: Annotated[list[str], typer.Argument(help="detector_replicas=2 device=cuda …; key=null takes one back.")],
    project: ProjectOption,
    url: UrlOption = None,
    config: ConfigOption = None,
) -> None:
    """Serve a version with other options than the settings say; the champion is swapped without a failed request."""
    changes = dict(_option(text) for text in options)
    with client_of(config, url) as client:
        done = client.configure_model(project, model, changes)
        if done.promotion is not None:
            _report(client.await_promotion(project, done.promotion.id))
        else:
            told = ", ".join(f"{key}={value}" for key, value in done.model.serving.items())
            console.print(f"{model} has the options {told}" if told else f"{model} has no options of its own")


def _option(text: str) -> tuple[str, str | None]:
    key, found, value = text.partition("=")
    if not found or not key.strip() or not value.strip():
        raise Invalid(f"{text!r} is no option.", hint="Write key=value, for example detector_replicas=2.")
    return key.strip(), None if value.strip() == "null" else value.strip()


def _report(promotion: "PromotionOut") -> None:
    if promotion.state == "failed":
        raise CycleFailed(f"{promotion.model_id} does not serve: {promotion.error}", hint="The champion stays.")
    console.print(f"[bold green]{promotion.model_id} serves[/] ({promotion.kind})")
